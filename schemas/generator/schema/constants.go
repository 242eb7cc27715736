package schema

import (
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"sort"
	"strconv"
	"strings"
)

// Constants reads constants from the source of packages, which reflection
// cannot see.
type Constants struct {
	// Dir returns the directory of a package, or "" where it is unknown.
	Dir func(pkg string) string

	parsed map[string]*source
}

// source is what one package says: the text constants of each type, and the
// text literals in the methods of each type.
type source struct {
	consts  map[string][]string
	methods map[string][]string
}

// Of returns the sorted text constants that are declared with type t.
func (c *Constants) Of(t reflect.Type) []string {
	if t.Name() == "" || t.PkgPath() == "" {
		return nil
	}
	return c.load(t.PkgPath()).consts[t.Name()]
}

// Untyped returns the text constants without a type in the package of t.
func (c *Constants) Untyped(t reflect.Type) []string {
	return c.load(t.PkgPath()).consts[""]
}

// InMethods returns the sorted text literals in the methods of type t.
func (c *Constants) InMethods(t reflect.Type) []string {
	return c.load(t.PkgPath()).methods[t.Name()]
}

func (c *Constants) load(pkg string) *source {
	if s, ok := c.parsed[pkg]; ok {
		return s
	}
	s := &source{consts: map[string][]string{}, methods: map[string][]string{}}
	if c.parsed == nil {
		c.parsed = map[string]*source{}
	}
	c.parsed[pkg] = s
	dir := c.Dir(pkg)
	if pkg == "" || dir == "" {
		return s
	}
	names, _ := filepath.Glob(filepath.Join(dir, "*.go"))
	for _, name := range names {
		if !strings.HasSuffix(name, "_test.go") {
			s.read(name)
		}
	}
	for _, words := range []map[string][]string{s.consts, s.methods} {
		for name := range words {
			sort.Strings(words[name])
			words[name] = slices.Compact(words[name])
		}
	}
	return s
}

func (s *source) read(name string) {
	data, err := os.ReadFile(name)
	if err != nil {
		return
	}
	file, err := parser.ParseFile(token.NewFileSet(), name, data, parser.SkipObjectResolution)
	if err != nil {
		return
	}
	for _, decl := range file.Decls {
		switch d := decl.(type) {
		case *ast.GenDecl:
			s.readConsts(d)
		case *ast.FuncDecl:
			s.readMethod(d)
		}
	}
}

func (s *source) readConsts(decl *ast.GenDecl) {
	if decl.Tok != token.CONST {
		return
	}
	for _, spec := range decl.Specs {
		value := spec.(*ast.ValueSpec)
		for _, expr := range value.Values {
			typ, lit := value.Type, expr
			if call, ok := expr.(*ast.CallExpr); ok && len(call.Args) == 1 {
				typ, lit = call.Fun, call.Args[0]
			}
			name := ""
			if ident, ok := typ.(*ast.Ident); ok {
				name = ident.Name
			}
			if word, ok := literal(lit); ok {
				s.consts[name] = append(s.consts[name], word)
			}
		}
	}
}

func (s *source) readMethod(decl *ast.FuncDecl) {
	if decl.Recv == nil || decl.Body == nil || len(decl.Recv.List) != 1 {
		return
	}
	typ := decl.Recv.List[0].Type
	if star, ok := typ.(*ast.StarExpr); ok {
		typ = star.X
	}
	ident, ok := typ.(*ast.Ident)
	if !ok {
		return
	}
	ast.Inspect(decl.Body, func(n ast.Node) bool {
		if expr, ok := n.(ast.Expr); ok {
			if word, ok := literal(expr); ok {
				s.methods[ident.Name] = append(s.methods[ident.Name], word)
			}
		}
		return true
	})
}

func literal(expr ast.Expr) (string, bool) {
	lit, ok := expr.(*ast.BasicLit)
	if !ok || lit.Kind != token.STRING {
		return "", false
	}
	word, err := strconv.Unquote(lit.Value)
	return word, err == nil
}
