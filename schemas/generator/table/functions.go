// Package table reads the functions, paths and enumerations of OTTL from the
// real library.
package table

import (
	"reflect"
	"regexp"
	"slices"
	"strings"
	"unsafe"

	"go.opentelemetry.io/collector/featuregate"

	"github.com/open-telemetry/opentelemetry-collector-contrib/pkg/ottl"
	"github.com/open-telemetry/opentelemetry-collector-contrib/pkg/ottl/contexts/ottlspan"
	"github.com/open-telemetry/opentelemetry-collector-contrib/pkg/ottl/ottlfuncs"
)

// lambdaGate is the feature gate that functions with lambda arguments need.
const lambdaGate = "ottl.functions.enableLambda"

// Function is one OTTL function.
type Function struct {
	Args []Argument `json:"args"`
	Gate string     `json:"gate,omitempty"`
}

// Argument is one parameter: its name in statements and its Go type without
// type arguments.
type Argument struct {
	Name     string `json:"name"`
	Kind     string `json:"kind"`
	Optional bool   `json:"optional"`
}

// Functions is the part of ottl.json that tells which functions there are.
type Functions struct {
	All        map[string]Function
	Standard   []string
	Components map[string]map[string][]string
}

// factory is the part of ottl.Factory that does not depend on a context.
type factory interface {
	Name() string
	CreateDefaultArguments() ottl.Arguments
}

// NewFunctions returns the standard functions. They are the same for all
// contexts.
func NewFunctions() *Functions {
	f := &Functions{All: map[string]Function{}, Components: map[string]map[string][]string{}}
	for name, fn := range ottlfuncs.StandardFuncs[*ottlspan.TransformContext]() {
		f.All[name] = describe(fn)
		f.Standard = append(f.Standard, name)
	}
	slices.Sort(f.Standard)
	return f
}

// AddComponent reads the functions that a default configuration keeps in
// private maps called "<context>Functions".
func (f *Functions) AddComponent(id string, config any) {
	v := reflect.ValueOf(config)
	if v.Kind() != reflect.Pointer || v.Elem().Kind() != reflect.Struct {
		return
	}
	v = v.Elem()
	for i := range v.NumField() {
		name, ok := strings.CutSuffix(v.Type().Field(i).Name, "Functions")
		if !ok || v.Field(i).Kind() != reflect.Map {
			continue
		}
		functions := reflect.NewAt(v.Field(i).Type(), unsafe.Pointer(v.Field(i).UnsafeAddr())).Elem()
		f.add(id, strings.ToLower(name), functions)
	}
}

func (f *Functions) add(id, context string, functions reflect.Value) {
	extra := []string{}
	for _, key := range functions.MapKeys() {
		fn, ok := functions.MapIndex(key).Interface().(factory)
		if !ok || slices.Contains(f.Standard, fn.Name()) {
			continue
		}
		f.All[fn.Name()] = describe(fn)
		extra = append(extra, fn.Name())
	}
	slices.Sort(extra)
	if f.Components[id] == nil {
		f.Components[id] = map[string][]string{}
	}
	f.Components[id][context] = extra
}

func describe(fn factory) Function {
	out := Function{Args: []Argument{}}
	args := fn.CreateDefaultArguments()
	if args == nil {
		return out
	}
	t := reflect.TypeOf(args)
	for t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	for i := range t.NumField() {
		arg := argument(t.Field(i))
		if strings.Contains(arg.Kind, "Lambda") && registered(lambdaGate) {
			out.Gate = lambdaGate
		}
		out.Args = append(out.Args, arg)
	}
	return out
}

func argument(field reflect.StructField) Argument {
	t, optional := field.Type, false
	if strings.HasPrefix(t.Name(), "Optional[") {
		get, _ := t.MethodByName("Get")
		t, optional = get.Type.Out(0), true
	}
	return Argument{Name: snake(field.Name), Kind: kind(t), Optional: optional}
}

func kind(t reflect.Type) string {
	if t.Kind() == reflect.Slice && t.Name() == "" {
		return "[]" + kind(t.Elem())
	}
	if t.Kind() == reflect.Pointer {
		return kind(t.Elem())
	}
	name, _, _ := strings.Cut(t.Name(), "[")
	return name
}

var wordStart = regexp.MustCompile(`([a-z0-9])([A-Z])|([A-Z])([A-Z][a-z])`)

// snake turns a Go name into the form that statements use. The parser turns it
// back by making every part upper case.
func snake(name string) string {
	return strings.ToLower(wordStart.ReplaceAllString(name, "${1}${3}_${2}${4}"))
}

func registered(gate string) bool {
	found := false
	featuregate.GlobalRegistry().VisitAll(func(g *featuregate.Gate) { found = found || g.ID() == gate })
	return found
}
