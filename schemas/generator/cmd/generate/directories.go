package main

import (
	"fmt"
	"os/exec"
	"path/filepath"
	"runtime/debug"
	"strings"
	"unicode"
)

// directories finds the source of a package in the module cache. Which version
// of a module is in use stands in the running binary.
type directories struct {
	cache    string
	versions map[string]string
}

func newDirectories() (*directories, error) {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return nil, fmt.Errorf("built without module support")
	}
	output, err := exec.Command("go", "env", "GOMODCACHE").Output()
	if err != nil {
		return nil, fmt.Errorf("go env: %w", err)
	}
	d := &directories{cache: strings.TrimSpace(string(output)), versions: map[string]string{}}
	for _, module := range info.Deps {
		if module.Replace != nil {
			module = module.Replace
		}
		d.versions[module.Path] = module.Version
	}
	return d, nil
}

// module returns the module that holds a package, and its version.
func (d *directories) module(pkg string) (path, version string) {
	for path = pkg; path != "." && path != "/"; path = filepath.Dir(path) {
		if version, ok := d.versions[path]; ok {
			return path, version
		}
	}
	return "", ""
}

// of returns the directory of a package, "" when no module has it.
func (d *directories) of(pkg string) string {
	module, version := d.module(pkg)
	if module == "" {
		return ""
	}
	return filepath.Join(d.cache, escape(module)+"@"+version, strings.TrimPrefix(pkg, module))
}

// escape writes capital letters as the module cache does, for file systems
// that do not tell them apart.
func escape(path string) string {
	var b strings.Builder
	for _, r := range path {
		if unicode.IsUpper(r) {
			b.WriteByte('!')
			r = unicode.ToLower(r)
		}
		b.WriteRune(r)
	}
	return b.String()
}
