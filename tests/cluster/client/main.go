// Client asks an API server on this machine: each request on a line of standard input gives a line of what it answers, in order.
//
// With -key it writes a new key for service accounts to a file instead.
package main

import (
	"bufio"
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"flag"
	"fmt"
	"io"
	"log"
	"net/http"
	"os"
)

// Requests that are under way at once. None waits for what another one changes.
const parallel = 8

const longestLine = 16 << 20

type request struct {
	Method string          `json:"method"`
	Path   string          `json:"path"`
	Body   json.RawMessage `json:"body,omitempty"`
}

type response struct {
	Status   int             `json:"status"`
	Warnings []string        `json:"warnings"`
	Body     json.RawMessage `json:"body"`
}

type client struct {
	http  *http.Client
	url   string
	token string
}

func main() {
	log.SetFlags(0)
	url := flag.String("url", "", "where the server is")
	authority := flag.String("ca", "", "who signed its certificate")
	token := flag.String("token", "", "who asks")
	key := flag.String("key", "", "write a key to this file, and do nothing else")
	flag.Parse()
	if *key != "" {
		if err := writeKey(*key); err != nil {
			log.Fatal(err)
		}
		return
	}
	certificates, err := os.ReadFile(*authority)
	if err != nil {
		log.Fatal(err)
	}
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(certificates)
	transport := &http.Transport{
		TLSClientConfig:     &tls.Config{RootCAs: pool},
		ForceAttemptHTTP2:   true,
		MaxIdleConnsPerHost: parallel,
	}
	asked := &client{http: &http.Client{Transport: transport}, url: *url, token: *token}
	if err := asked.serve(os.Stdin, os.Stdout); err != nil {
		log.Fatal(err)
	}
}

func (c *client) serve(in io.Reader, out io.Writer) error {
	type result struct {
		response *response
		err      error
	}
	pending := make(chan chan result, parallel)
	var scanned error
	go func() {
		defer close(pending)
		lines := bufio.NewScanner(in)
		lines.Buffer(make([]byte, 1<<20), longestLine)
		for lines.Scan() {
			line := bytes.Clone(lines.Bytes())
			done := make(chan result, 1)
			pending <- done
			go func() {
				response, err := c.ask(line)
				done <- result{response, err}
			}()
		}
		scanned = lines.Err()
	}()
	encoder := json.NewEncoder(out)
	for done := range pending {
		result := <-done
		if result.err != nil {
			return result.err
		}
		if err := encoder.Encode(result.response); err != nil {
			return err
		}
	}
	return scanned
}

func (c *client) ask(line []byte) (*response, error) {
	var request request
	if err := json.Unmarshal(line, &request); err != nil {
		return nil, err
	}
	call, err := http.NewRequest(request.Method, c.url+request.Path, bytes.NewReader(request.Body))
	if err != nil {
		return nil, err
	}
	call.Header.Set("Authorization", "Bearer "+c.token)
	call.Header.Set("Content-Type", "application/json")
	call.Header.Set("Accept", "application/json")
	answer, err := c.http.Do(call)
	if err != nil {
		// A server that is not there yet is an answer too.
		text, err := json.Marshal(err.Error())
		return &response{Body: text}, err
	}
	defer answer.Body.Close()
	body, err := io.ReadAll(answer.Body)
	if err != nil {
		return nil, fmt.Errorf("%s %s: %w", request.Method, request.Path, err)
	}
	if !json.Valid(body) {
		if body, err = json.Marshal(string(body)); err != nil {
			return nil, err
		}
	}
	return &response{Status: answer.StatusCode, Warnings: answer.Header["Warning"], Body: body}, nil
}

func writeKey(file string) error {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return err
	}
	bytes, err := x509.MarshalECPrivateKey(key)
	if err != nil {
		return err
	}
	return os.WriteFile(file, pem.EncodeToMemory(&pem.Block{Type: "EC PRIVATE KEY", Bytes: bytes}), 0o600)
}
