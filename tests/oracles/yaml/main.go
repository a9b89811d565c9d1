// Yaml says what kubectl reads in a file: each text on a line of standard input, as JSON, gives a line of the documents in it.
package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log"
	"os"
	"strings"

	utiljson "k8s.io/apimachinery/pkg/util/json"
	"k8s.io/apimachinery/pkg/util/yaml"
)

// How far kubectl looks for the brace that tells JSON from YAML.
const lookahead = 4096

const longestLine = 16 << 20

type question struct {
	Text string `json:"text"`
}

type answer struct {
	// What came before the error, if there is one.
	Documents []any  `json:"documents"`
	Error     string `json:"error,omitempty"`
}

func main() {
	log.SetFlags(0)
	if err := serve(os.Stdin, os.Stdout); err != nil {
		log.Fatal(err)
	}
}

func serve(in io.Reader, out io.Writer) error {
	lines := bufio.NewScanner(in)
	lines.Buffer(make([]byte, 1<<20), longestLine)
	buffered := bufio.NewWriterSize(out, 1<<16)
	encoder := json.NewEncoder(buffered)
	for number := 1; lines.Scan(); number++ {
		var question question
		if err := json.Unmarshal(lines.Bytes(), &question); err != nil {
			return fmt.Errorf("line %d: %w", number, err)
		}
		if err := encoder.Encode(read(question.Text)); err != nil {
			return fmt.Errorf("line %d: %w", number, err)
		}
		if err := buffered.Flush(); err != nil {
			return err
		}
	}
	return lines.Err()
}

// read is the loop of kubectl's stream visitor; numbers become what an API server makes of them.
func read(text string) (said answer) {
	said.Documents = []any{}
	defer func() {
		if panicked := recover(); panicked != nil {
			said.Error = fmt.Sprint("panic: ", panicked)
		}
	}()
	decoder := yaml.NewYAMLOrJSONDecoder(strings.NewReader(text), lookahead)
	for {
		var raw json.RawMessage
		if err := decoder.Decode(&raw); errors.Is(err, io.EOF) {
			return said
		} else if err != nil {
			said.Error = err.Error()
			return said
		}
		raw = bytes.TrimSpace(raw)
		if len(raw) == 0 || bytes.Equal(raw, []byte("null")) {
			continue
		}
		var value any
		if err := utiljson.Unmarshal(raw, &value); err != nil {
			said.Error = err.Error()
			return said
		}
		said.Documents = append(said.Documents, value)
	}
}
