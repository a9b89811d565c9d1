// Regexp says what Go's regexp makes of each text on a line of standard input, as JSON: the error, or nothing.
package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"log"
	"os"
	"regexp"
)

const longestLine = 1 << 20

type question struct {
	Text string `json:"text"`
}

type answer struct {
	Error string `json:"error"`
}

func main() {
	log.SetFlags(0)
	if err := serve(os.Stdin, os.Stdout); err != nil {
		log.Fatal(err)
	}
}

func serve(in io.Reader, out io.Writer) error {
	lines := bufio.NewScanner(in)
	lines.Buffer(make([]byte, 1<<16), longestLine)
	buffered := bufio.NewWriter(out)
	encoder := json.NewEncoder(buffered)
	for number := 1; lines.Scan(); number++ {
		var question question
		if err := json.Unmarshal(lines.Bytes(), &question); err != nil {
			return fmt.Errorf("line %d: %w", number, err)
		}
		var said answer
		if _, err := regexp.Compile(question.Text); err != nil {
			said.Error = err.Error()
		}
		if err := encoder.Encode(said); err != nil {
			return fmt.Errorf("line %d: %w", number, err)
		}
		if err := buffered.Flush(); err != nil {
			return err
		}
	}
	return lines.Err()
}
