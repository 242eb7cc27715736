// Command generate writes what gitsync knows about one release of the
// Collector: components.json, settings.json and ottl.json.
package main

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"path/filepath"

	"gitsync/schemas/generator/components"
	"gitsync/schemas/generator/schema"
)

func main() {
	out := flag.String("out", "../collector", "directory that gets a subdirectory for the release")
	known := flag.String("known", "known", "directory of the hand-reviewed component lists")
	flag.Parse()
	if err := run(*out, *known); err != nil {
		fmt.Fprintln(os.Stderr, "generate:", err)
		os.Exit(1)
	}
}

func run(out, known string) error {
	dirs, err := newDirectories()
	if err != nil {
		return err
	}
	factories, err := components.Factories()
	if err != nil {
		return err
	}
	list, err := readKnown(filepath.Join(known, components.Version+".json"))
	if err != nil {
		return err
	}
	parts := collect(factories, list, dirs)
	dir := filepath.Join(out, components.Version)
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	walker := schema.NewWalker(&schema.Constants{Dir: dirs.of})
	if err := write(filepath.Join(dir, "settings.json"), settings(walker, parts, factories.Telemetry)); err != nil {
		return err
	}
	if err := write(filepath.Join(dir, "components.json"), catalog(parts, list, dirs)); err != nil {
		return err
	}
	language, err := ottl(parts, dirs)
	if err != nil {
		return err
	}
	return write(filepath.Join(dir, "ottl.json"), language)
}

// write stores a value as JSON with sorted keys, an indent of one space and a
// newline at the end.
func write(name string, value any) error {
	// Decoded once more, because only the keys of maps are sorted, not those of structs.
	data, err := json.Marshal(value)
	if err != nil {
		return err
	}
	decoder := json.NewDecoder(bytes.NewReader(data))
	decoder.UseNumber()
	var plain any
	if err := decoder.Decode(&plain); err != nil {
		return err
	}
	var buffer bytes.Buffer
	encoder := json.NewEncoder(&buffer)
	encoder.SetEscapeHTML(false)
	encoder.SetIndent("", " ")
	if err := encoder.Encode(plain); err != nil {
		return err
	}
	return os.WriteFile(name, buffer.Bytes(), 0o644)
}
