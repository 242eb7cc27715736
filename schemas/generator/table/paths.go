package table

import (
	"context"
	"fmt"
	"maps"
	"net"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"time"

	"go.opentelemetry.io/collector/client"
	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.uber.org/zap"

	"github.com/open-telemetry/opentelemetry-collector-contrib/pkg/ottl"
	"github.com/open-telemetry/opentelemetry-collector-contrib/pkg/ottl/ottlfuncs"
)

// Context is what one OTTL context offers.
type Context struct {
	Enums map[string]int64 `json:"enums"`
	Paths map[string]Path  `json:"paths"`
}

// Path is one field that statements can name.
type Path struct {
	Type     string `json:"type"`
	Writable bool   `json:"writable"`
	// Index tells how many keys may follow: none, "one" or "any".
	Index string `json:"index,omitempty"`
}

// Words are the names that occur in the sources of the contexts, by package:
// everything that could be a part of a path or an enumeration.
type Words map[string][]string

var (
	fieldWord = regexp.MustCompile(`^[a-z][a-z0-9_]*$`)
	enumWord  = regexp.MustCompile(`^[A-Z][A-Z0-9_]*$`)
)

type newParser[K any] func(map[string]ottl.Factory[K], component.TelemetrySettings, ...ottl.Option[K]) (ottl.Parser[K], error)

// requestContext carries a client, for the paths that tell about the request.
var requestContext = client.NewContext(context.Background(), client.Info{Addr: &net.IPAddr{IP: net.IPv4(127, 0, 0, 1)}})

// prober asks the real parser of one context.
type prober[K any] struct {
	parser  ottl.Parser[K]
	samples []func() K
	words   Words
}

// probe finds all paths and enumerations of a context by trying every word.
func probe[K any](words Words, build newParser[K], option ottl.Option[K], samples ...func() K) Context {
	parser, err := build(ottlfuncs.StandardFuncs[K](), component.TelemetrySettings{Logger: zap.NewNop()}, option)
	if err != nil {
		panic(err)
	}
	p := &prober[K]{parser: parser, samples: samples, words: words}
	out := Context{Enums: map[string]int64{}, Paths: map[string]Path{}}
	for _, path := range p.paths() {
		out.Paths[path] = p.describe(path)
	}
	for _, word := range p.all(enumWord) {
		if value, err := p.parser.ParseValueExpression(word); err == nil {
			if number, ok := p.eval(value, p.samples[0]()).(int64); ok {
				out.Enums[word] = number
			}
		}
	}
	return out
}

// all returns the words of every package that match.
func (p *prober[K]) all(pattern *regexp.Regexp) []string {
	set := map[string]bool{}
	for _, words := range p.words {
		for _, word := range words {
			if pattern.MatchString(word) {
				set[word] = true
			}
		}
	}
	return slices.Sorted(maps.Keys(set))
}

// paths tries "context.a", "context.a.b" and "context.a.b.c" with the words of
// the package of the context.
func (p *prober[K]) paths() []string {
	found := []string{}
	for _, name := range slices.Sorted(maps.Keys(p.words)) {
		fields := []string{}
		for _, word := range p.words[name] {
			if fieldWord.MatchString(word) {
				fields = append(fields, word)
			}
		}
		prefixes := []string{name}
		if name == "scope" {
			prefixes = append(prefixes, "instrumentation_scope")
		}
		for _, prefix := range prefixes {
			found = append(found, p.below(prefix, fields, 3)...)
		}
	}
	slices.Sort(found)
	return slices.Compact(found)
}

func (p *prober[K]) below(prefix string, fields []string, depth int) []string {
	found := []string{}
	for _, field := range fields {
		path := prefix + "." + field
		valid := p.parses(path)
		if valid {
			found = append(found, path)
		}
		// A path without a value of its own can still have parts: "otelcol.client.addr".
		if depth > 1 && (valid || depth == 3 || len(fields) < 40) {
			found = append(found, p.below(path, fields, depth-1)...)
		}
	}
	return found
}

func (p *prober[K]) parses(path string) bool {
	_, err := p.parser.ParseValueExpression(path)
	return err == nil
}

func (p *prober[K]) describe(path string) Path {
	out := Path{Type: p.typeOf(path), Writable: p.writable(path)}
	switch {
	case p.parses(path + `["k"]["k"]`):
		out.Index = "any"
	case p.parses(path + `["k"]`):
		out.Index = "one"
	}
	return out
}

func (p *prober[K]) eval(e *ottl.ValueExpression[K], sample K) (value any) {
	defer func() {
		if recover() != nil {
			value = nil
		}
	}()
	value, err := e.Eval(requestContext, sample)
	if err != nil {
		return nil
	}
	return value
}

// typeOf names the type of a path by its values on all samples.
func (p *prober[K]) typeOf(path string) string {
	expression, err := p.parser.ParseValueExpression(path)
	if err != nil {
		return "any"
	}
	names := []string{}
	for _, sample := range p.samples {
		if value := p.eval(expression, sample()); value != nil {
			names = append(names, typeName(value))
		}
	}
	slices.Sort(names)
	names = slices.Compact(names)
	switch {
	case len(names) == 1:
		return names[0]
	case len(names) > 1 && !slices.ContainsFunc(names, func(n string) bool { return !strings.HasSuffix(n, "DataPointSlice") }):
		return "DataPointSlice"
	}
	return "any"
}

func typeName(value any) string {
	switch value.(type) {
	case string:
		return "string"
	case int64, int32, int:
		return "int"
	case uint64, uint32:
		return "int"
	case float64:
		return "float"
	case bool:
		return "bool"
	case []byte:
		return "bytes"
	case time.Time:
		return "time"
	case time.Duration:
		return "duration"
	case pcommon.Map, map[string]any:
		return "map"
	case pcommon.Slice, []any:
		return "list"
	}
	t := reflect.TypeOf(value)
	if t == reflect.TypeFor[[]time.Time]() {
		return "list of time"
	}
	if t.Kind() == reflect.Slice && t.Name() == "" {
		return "list of " + strings.TrimSuffix(t.Elem().String(), "64")
	}
	return t.Name()
}

// writable sets the path to its own value, on the first sample where it has one.
func (p *prober[K]) writable(path string) bool {
	statement, err := p.parser.ParseStatement(fmt.Sprintf("set(%s, %s)", path, path))
	if err != nil {
		return false
	}
	expression, err := p.parser.ParseValueExpression(path)
	if err != nil {
		return false
	}
	for _, sample := range p.samples {
		if p.eval(expression, sample()) != nil && p.execute(statement, sample()) {
			return true
		}
	}
	return false
}

func (p *prober[K]) execute(statement *ottl.Statement[K], sample K) (ok bool) {
	defer func() {
		if recover() != nil {
			ok = false
		}
	}()
	_, _, err := statement.Execute(requestContext, sample)
	return err == nil
}
