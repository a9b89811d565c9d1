package protocol

import (
	"bufio"
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"log"
	"os"
	"time"
)

// Court is a set made ready for questions.
type Court interface {
	// Ask makes a question of a flow: whether the source's egress policies allow it.
	Ask(flow Flow) (Question, error)
}

// Question is the evaluator's part, which is what is timed.
type Question func() (bool, error)

// Opener makes a set ready. It may use again what it made for the set before.
type Opener func(world *World) (Court, error)

// How long a set is judged over and over to be timed.
const timed = 200 * time.Millisecond

// A set is one line; the largest ones that are timed have ten thousand policies.
const longestLine = 256 << 20

type answer struct {
	Verdicts string `json:"verdicts"`
	// Nanoseconds per flow, where they were asked for.
	Nanoseconds float64 `json:"ns,omitempty"`
}

// Serve is an oracle's main function.
func Serve(open Opener) {
	log.SetFlags(0)
	clock := flag.Bool("time", false, "judge each set for a while and say how long a flow takes")
	flag.Parse()
	if err := serve(os.Stdin, os.Stdout, open, *clock); err != nil {
		log.Fatal(err)
	}
}

// serve answers each line. It stops at the first set that it cannot judge: an oracle that leaves out what it does not
// understand agrees with everybody.
func serve(in io.Reader, out io.Writer, open Opener, clock bool) error {
	lines := bufio.NewScanner(in)
	lines.Buffer(make([]byte, 1<<20), longestLine)
	buffered := bufio.NewWriterSize(out, 1<<16)
	encoder := json.NewEncoder(buffered)
	for number := 1; lines.Scan(); number++ {
		answer, err := judge(lines.Bytes(), open, clock)
		if err != nil {
			return fmt.Errorf("line %d: %w", number, err)
		}
		if err := encoder.Encode(answer); err != nil {
			return err
		}
		if err := buffered.Flush(); err != nil {
			return err
		}
	}
	return lines.Err()
}

func judge(line []byte, open Opener, clock bool) (*answer, error) {
	var set Set
	decoder := json.NewDecoder(bytes.NewReader(line))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&set); err != nil {
		return nil, err
	}
	world, err := set.Read()
	if err != nil {
		return nil, err
	}
	court, err := open(world)
	if err != nil {
		return nil, err
	}
	questions := make([]Question, len(set.Flows))
	for i, flow := range set.Flows {
		if questions[i], err = court.Ask(flow); err != nil {
			return nil, fmt.Errorf("flow %d: %w", i, err)
		}
	}
	answer := &answer{}
	if answer.Verdicts, err = verdicts(questions); err != nil {
		return nil, err
	}
	if clock && len(questions) > 0 {
		if answer.Nanoseconds, err = perFlow(questions); err != nil {
			return nil, err
		}
	}
	return answer, nil
}

func verdicts(questions []Question) (string, error) {
	verdicts := make([]byte, len(questions))
	for i, question := range questions {
		allowed, err := question()
		if err != nil {
			return "", fmt.Errorf("flow %d: %w", i, err)
		}
		verdicts[i] = 'X'
		if allowed {
			verdicts[i] = '.'
		}
	}
	return string(verdicts), nil
}

func perFlow(questions []Question) (float64, error) {
	judged := 0
	begun := time.Now()
	for time.Since(begun) < timed {
		for _, question := range questions {
			if _, err := question(); err != nil {
				return 0, err
			}
		}
		judged += len(questions)
	}
	return float64(time.Since(begun).Nanoseconds()) / float64(judged), nil
}
