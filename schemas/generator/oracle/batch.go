package main

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"go.opentelemetry.io/collector/otelcol"
)

// A case is one line of input: configuration files that are merged in their
// order, or, where there is a context, a text of OTTL.
type oneCase struct {
	ID      string            `json:"id"`
	Configs []string          `json:"configs"`
	Env     map[string]string `json:"env"`
	Context string            `json:"context"`
	Kind    string            `json:"kind"`
	Text    string            `json:"text"`
}

type verdict struct {
	ID    string `json:"id"`
	Valid bool   `json:"valid"`
	Error string `json:"error"`
}

const (
	lineBytes = 64 << 20
	// A case that takes longer is given up; what it started goes on to the end of the process.
	caseTime = 60 * time.Second
)

// batch answers every line of in with a line on out, in the same order.
func batch(in io.Reader, out io.Writer) error {
	home, err := os.MkdirTemp("", "oracle")
	if err != nil {
		return err
	}
	defer os.RemoveAll(home)
	os.Stdout = os.Stderr // what components print must not mix with the answers
	parsers, err := newParsers()
	if err != nil {
		return err
	}
	lines := bufio.NewScanner(in)
	lines.Buffer(make([]byte, 1<<16), lineBytes)
	answers := json.NewEncoder(out)
	for lines.Scan() {
		var one oneCase
		if err := json.Unmarshal(lines.Bytes(), &one); err != nil {
			return fmt.Errorf("not a case: %w", err)
		}
		answer := verdict{ID: one.ID, Valid: true}
		if err := fresh(home); err != nil {
			return err
		}
		if err := bounded(func() error { return judge(one, parsers) }); err != nil {
			answer.Valid, answer.Error = false, err.Error()
		}
		if err := answers.Encode(answer); err != nil {
			return err
		}
	}
	return lines.Err()
}

// fresh changes to a new empty directory: some components make files already
// while they are built, and the next case must not find them.
func fresh(home string) error {
	if old, err := os.Getwd(); err == nil && filepath.Dir(old) == home {
		_ = os.RemoveAll(old) // what stays is removed in the end
	}
	place, err := os.MkdirTemp(home, "case")
	if err != nil {
		return err
	}
	return os.Chdir(place)
}

// bounded turns a panic and a case without an end into errors.
func bounded(work func() error) error {
	done := make(chan error, 1)
	go func() {
		defer func() {
			if what := recover(); what != nil {
				done <- fmt.Errorf("panic: %v", what)
			}
		}()
		done <- work()
	}()
	select {
	case err := <-done:
		return err
	case <-time.After(caseTime):
		return fmt.Errorf("no verdict after %s", caseTime)
	}
}

func judge(one oneCase, parsers map[string]parser) error {
	if one.Context == "" {
		return judgeConfig(one)
	}
	parser, known := parsers[one.Context]
	if !known {
		return fmt.Errorf("oracle: no context %q", one.Context)
	}
	return parser(one.Kind, one.Text)
}

// judgeConfig goes the way of the validate command: resolve, unmarshal,
// validate, build the graph; nothing is started.
func judgeConfig(one oneCase) error {
	uris := make([]string, 0, len(one.Configs))
	for number, text := range one.Configs {
		name := fmt.Sprintf("config-%d.yaml", number)
		if err := os.WriteFile(filepath.Clean(name), []byte(text), 0o600); err != nil {
			return err
		}
		uris = append(uris, "file:"+name)
	}
	for name, value := range one.Env {
		if err := os.Setenv(name, value); err != nil {
			return err
		}
		defer os.Unsetenv(name)
	}
	collector, err := otelcol.NewCollector(settings(uris))
	if err != nil {
		return err
	}
	return collector.DryRun(context.Background())
}
