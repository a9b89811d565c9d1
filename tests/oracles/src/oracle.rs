use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use anyhow::{Context, anyhow, bail};

use serde::Serialize;

use crate::set::{Answer, Set};

/// An oracle that runs. It ends when this is dropped.
#[derive(Debug)]
pub struct Oracle {
    name: String,
    child: Child,
    /// Taken when it is time to end.
    questions: Option<ChildStdin>,
    answers: BufReader<ChildStdout>,
}

impl Oracle {
    /// Starts a command that speaks the protocol. What it says on standard error is let through.
    pub fn start(name: &str, command: &mut Command) -> anyhow::Result<Self> {
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .with_context(|| format!("starting {command:?}"))?;
        let questions = child.stdin.take();
        let answers = child.stdout.take().context("a pipe was asked for")?;
        Ok(Self {
            name: name.to_owned(),
            child,
            questions,
            answers: BufReader::new(answers),
        })
    }

    pub fn name(&self) -> &str {
        &self.name
    }

    /// What it says of each set, in order.
    pub fn ask(&mut self, sets: &[Set]) -> anyhow::Result<Vec<Answer>> {
        self.exchange(sets, Answer::read)
    }

    /// What it says of each question, in order; `read` makes an answer of its line.
    pub fn exchange<Q: Serialize + Sync, A>(
        &mut self,
        questions: &[Q],
        read: impl Fn(&str, &Q) -> anyhow::Result<A>,
    ) -> anyhow::Result<Vec<A>> {
        let Self {
            name,
            questions: pipe,
            answers,
            ..
        } = self;
        let pipe = pipe.as_mut().context("it has ended")?;
        // A pipe holds less than the questions: who only wrote would wait for a reader for ever.
        std::thread::scope(|scope| {
            let writer = scope.spawn(move || write(pipe, questions));
            let answers = read_all(answers, questions, read);
            let written = writer
                .join()
                .map_err(|_panic| anyhow!("the writer panicked"))?;
            // An oracle that stopped says why itself; a broken pipe is only what follows.
            let answers = answers.with_context(|| format!("asking {name}"))?;
            written.with_context(|| format!("asking {name}"))?;
            Ok(answers)
        })
    }
}

impl Drop for Oracle {
    fn drop(&mut self) {
        // The end of its input is the end of the oracle.
        drop(self.questions.take());
        self.child.wait().ok();
    }
}

fn write<Q: Serialize>(pipe: &mut ChildStdin, questions: &[Q]) -> anyhow::Result<()> {
    for question in questions {
        let mut line = serde_json::to_vec(question)?;
        line.push(b'\n');
        pipe.write_all(&line)?;
    }
    pipe.flush()?;
    Ok(())
}

fn read_all<Q: Serialize, A>(
    answers: &mut BufReader<ChildStdout>,
    questions: &[Q],
    read: impl Fn(&str, &Q) -> anyhow::Result<A>,
) -> anyhow::Result<Vec<A>> {
    let mut line = String::new();
    questions
        .iter()
        .map(|question| {
            line.clear();
            if answers.read_line(&mut line)? == 0 {
                bail!("it stopped at {}", serde_json::to_string(question)?);
            }
            read(&line, question)
        })
        .collect()
}
