use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use anyhow::{Context, anyhow, bail};

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
        let Self {
            name,
            questions,
            answers,
            ..
        } = self;
        let questions = questions.as_mut().context("it has ended")?;
        // A pipe holds less than the sets: who only wrote would wait for a reader for ever.
        std::thread::scope(|scope| {
            let writer = scope.spawn(move || write(questions, sets));
            let answers = read(answers, sets);
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

fn write(questions: &mut ChildStdin, sets: &[Set]) -> anyhow::Result<()> {
    for set in sets {
        let mut line = serde_json::to_vec(set)?;
        line.push(b'\n');
        questions.write_all(&line)?;
    }
    questions.flush()?;
    Ok(())
}

fn read(answers: &mut BufReader<ChildStdout>, sets: &[Set]) -> anyhow::Result<Vec<Answer>> {
    let mut line = String::new();
    sets.iter()
        .map(|set| {
            line.clear();
            if answers.read_line(&mut line)? == 0 {
                bail!("it stopped at {}", serde_json::to_string(set)?);
            }
            Answer::read(&line, set)
        })
        .collect()
}
