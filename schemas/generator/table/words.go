package table

import (
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// ReadWords collects the text literals in the sources of the contexts. The
// directory holds a package "ctx<name>" for each.
func ReadWords(dir string) (Words, error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	words := Words{}
	for _, entry := range entries {
		name, ok := strings.CutPrefix(entry.Name(), "ctx")
		if !ok || !entry.IsDir() {
			continue
		}
		found := append(literals(filepath.Join(dir, entry.Name())), "cache")
		// A few paths are known to the public package of the context only.
		found = append(found, literals(filepath.Join(filepath.Dir(dir), "ottl"+name))...)
		slices.Sort(found)
		words[name] = slices.Compact(found)
	}
	return words, nil
}

func literals(dir string) []string {
	found := []string{}
	names, _ := filepath.Glob(filepath.Join(dir, "*.go"))
	for _, name := range names {
		file, err := parser.ParseFile(token.NewFileSet(), name, nil, parser.SkipObjectResolution)
		if err != nil || strings.HasSuffix(name, "_test.go") {
			continue
		}
		ast.Inspect(file, func(n ast.Node) bool {
			if lit, ok := n.(*ast.BasicLit); ok && lit.Kind == token.STRING {
				if word, err := strconv.Unquote(lit.Value); err == nil {
					found = append(found, word)
				}
			}
			return true
		})
	}
	return found
}
