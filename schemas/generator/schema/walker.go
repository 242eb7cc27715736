// Package schema turns the Go types of component configurations into JSON
// schemas with the extensions that schemas/collector/README.md describes.
package schema

import (
	"encoding"
	"encoding/json"
	"fmt"
	"maps"
	"reflect"
	"strings"
	"time"

	"go.opentelemetry.io/collector/confmap"
)

// Schema is one JSON schema. encoding/json sorts its keys, which keeps two
// runs identical.
type Schema = map[string]any

var (
	textUnmarshaler = reflect.TypeFor[encoding.TextUnmarshaler]()
	confUnmarshaler = reflect.TypeFor[confmap.Unmarshaler]()
	durationType    = reflect.TypeFor[time.Duration]()
)

// Walker collects the definitions of all struct types that it meets.
type Walker struct {
	// Defs holds the content of "$defs".
	Defs map[string]Schema
	// Consts finds the constants of a named type in its source.
	Consts *Constants

	variants map[reflect.Type][]variant
	content  map[string]string
	active   map[reflect.Type]string
}

// variant is one shape of a struct type: the flavor of its optional fields
// depends on the default configuration that it is used in.
type variant struct{ name, content string }

// NewWalker returns a walker without definitions.
func NewWalker(consts *Constants) *Walker {
	return &Walker{
		Defs:     map[string]Schema{},
		Consts:   consts,
		variants: map[reflect.Type][]variant{},
		content:  map[string]string{},
		active:   map[reflect.Type]string{},
	}
}

// Of returns the schema of type t. The value v is its default, or the zero
// Value when there is none; only the flavor of optionals is taken from it.
func (w *Walker) Of(t reflect.Type, v reflect.Value) Schema {
	switch {
	case t.Kind() == reflect.Pointer:
		inner := reflect.Value{}
		if v.IsValid() && !v.IsNil() {
			inner = v.Elem()
		}
		s := maps.Clone(w.Of(t.Elem(), inner))
		s["x-null"] = true
		return s
	case isOptional(t):
		return w.optional(t, v)
	}
	if s := w.special(t); s != nil {
		return s
	}
	if t.Kind() != reflect.Interface && reflect.PointerTo(t).Implements(textUnmarshaler) {
		return w.text(t)
	}
	switch t.Kind() {
	case reflect.Struct:
		return Schema{"$ref": "#/$defs/" + w.define(t, v)}
	case reflect.Slice, reflect.Array:
		return Schema{"type": "array", "items": w.Of(t.Elem(), reflect.Value{})}
	case reflect.Map:
		return Schema{"type": "object", "additionalProperties": w.Of(t.Elem(), reflect.Value{})}
	case reflect.Interface, reflect.Func, reflect.Chan, reflect.UnsafePointer:
		return Schema{}
	}
	return w.scalar(t)
}

func (w *Walker) scalar(t reflect.Type) Schema {
	switch t.Kind() {
	case reflect.Bool:
		return Schema{"type": "boolean"}
	case reflect.Float32, reflect.Float64:
		return Schema{"type": "number"}
	case reflect.String:
		return w.named(t)
	}
	return Schema{"type": "integer", "x-go": t.Kind().String()}
}

// optional handles configoptional.Optional: null means "not set", and a struct
// also takes the key "enabled".
func (w *Walker) optional(t reflect.Type, v reflect.Value) Schema {
	value, _ := t.FieldByName("value")
	flavor, inner := 0, reflect.Value{}
	if v.IsValid() {
		flavor, inner = int(v.FieldByName("flavor").Int()), readable(v.FieldByName("value"))
	}
	s := maps.Clone(w.Of(value.Type, inner))
	s["x-null"] = true
	base := value.Type
	for base.Kind() == reflect.Pointer {
		base = base.Elem()
	}
	if base.Kind() == reflect.Struct {
		s["x-optional"] = [...]string{"none", "default", "some"}[flavor]
	}
	return s
}

func isOptional(t reflect.Type) bool {
	return t.Kind() == reflect.Struct && strings.HasSuffix(t.PkgPath(), "/config/configoptional") &&
		strings.HasPrefix(t.Name(), "Optional[")
}

// special knows the types whose meaning their Go type does not tell.
func (w *Walker) special(t reflect.Type) Schema {
	if t == durationType {
		return Schema{"type": "string", "format": "duration"}
	}
	switch base(t.PkgPath()) + "." + t.Name() {
	case "configopaque.String":
		return Schema{"type": "string", "x-secret": true}
	case "configopaque.MapList":
		secret := Schema{"type": "string", "x-secret": true}
		return Schema{"type": "object", "additionalProperties": secret, "x-pairs": true}
	case "component.ID":
		return Schema{"type": "string", "format": "id"}
	case "configkafka.RequiredAcks":
		// A number, or the word "all": the struct around it translates.
		return Schema{"x-custom": true}
	case "operator.Config":
		return Schema{"type": "object", "additionalProperties": true}
	case "prometheusreceiver.PromConfig", "targetallocator.PromHTTPSDConfig", "targetallocator.PromHTTPClientConfig":
		return w.yamlOf(t)
	}
	if t.Kind() == reflect.Slice && base(t.Elem().PkgPath())+"."+t.Elem().Name() == "operator.Config" {
		return w.operators()
	}
	return nil
}

// define stores the schema of struct type t and returns its name.
func (w *Walker) define(t reflect.Type, v reflect.Value) string {
	if name, ok := w.active[t]; ok {
		return name
	}
	w.active[t] = w.reserve(t)
	s := w.object(t, v)
	name := w.active[t]
	delete(w.active, t)
	return w.store(t, name, s)
}

// object is the schema of a struct, its squashed parts included.
func (w *Walker) object(t reflect.Type, v reflect.Value) Schema {
	props := Schema{}
	s := Schema{"type": "object", "properties": props, "additionalProperties": false}
	f := &fields{walker: w, tag: "mapstructure", props: props}
	f.collect(t, v)
	if len(f.parts) > 0 {
		s["x-squash"] = f.parts
	}
	if f.remain {
		s["additionalProperties"] = true
	}
	if len(f.squashed) > 0 {
		s["x-squash"] = f.squashed
	}
	if f.custom && !f.remain && !refusesUnknown(t, v) {
		s["x-custom"] = true
		s["additionalProperties"] = true
	}
	if reflect.PointerTo(t).Implements(confUnmarshaler) {
		loosen(t, v, props)
	}
	w.addScrapers(t, v, s)
	w.confirmEnums(t, v, props)
	return s
}

// reserve picks a name that no other type has.
func (w *Walker) reserve(t reflect.Type) string {
	if known := w.variants[t]; len(known) > 0 {
		return known[0].name
	}
	name := defName(t)
	for i := 2; ; i++ {
		if _, taken := w.Defs[name]; !taken && !w.isActive(name) {
			return name
		}
		name = fmt.Sprintf("%s%d", defName(t), i)
	}
}

func (w *Walker) isActive(name string) bool {
	for _, n := range w.active {
		if n == name {
			return true
		}
	}
	return false
}

// store keeps s under name, under the name of an equal variant of the type, or
// under that of an equal definition where code generators repeat themselves.
func (w *Walker) store(t reflect.Type, name string, s Schema) string {
	data, err := json.Marshal(s)
	if err != nil {
		panic(err)
	}
	content := string(data)
	for _, known := range w.variants[t] {
		if known.content == content {
			return known.name
		}
	}
	if base(t.PkgPath()) == "metadata" {
		if other, ok := w.content[content]; ok {
			w.variants[t] = append(w.variants[t], variant{other, content})
			return other
		}
	}
	if len(w.variants[t]) > 0 {
		for i := 2; ; i++ {
			name = fmt.Sprintf("%s%d", defName(t), i)
			if _, taken := w.Defs[name]; !taken {
				break
			}
		}
	}
	w.Defs[name] = s
	w.content[content] = name
	w.variants[t] = append(w.variants[t], variant{name, content})
	return name
}
