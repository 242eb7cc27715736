package schema

import (
	"reflect"
	"strings"
)

// fields gathers the keys that a struct takes, as mapstructure and YAML
// libraries do it: by tag, with squashed and inlined parts merged in.
type fields struct {
	walker *Walker
	tag    string
	props  Schema
	// remain: a field takes all keys that no other field takes.
	remain bool
	// squashed names the types whose keys are merged in.
	squashed []string
	// custom: the type, or a part that is merged in, decodes itself.
	custom bool
	// parts names the types that are merged in: their own checks apply too.
	parts []string
}

func (f *fields) collect(t reflect.Type, v reflect.Value) {
	if reflect.PointerTo(t).Implements(confUnmarshaler) {
		f.custom = true
	}
	for i := range t.NumField() {
		field := t.Field(i)
		name, options, _ := strings.Cut(field.Tag.Get(f.tag), ",")
		if name == "-" {
			continue
		}
		value := reflect.Value{}
		if v.IsValid() {
			value = readable(v.Field(i))
		}
		if has(options, "squash") || has(options, "inline") {
			f.squash(field.Type, value)
			continue
		}
		if !field.IsExported() {
			continue
		}
		if has(options, "remain") {
			f.remain = true
			continue
		}
		if name == "" {
			name = f.untagged(field)
		}
		f.props[name] = f.of(field.Type, value)
	}
}

// squash merges the keys of a part into those of the whole.
func (f *fields) squash(t reflect.Type, v reflect.Value) {
	for t.Kind() == reflect.Pointer {
		t = t.Elem()
		if v.IsValid() {
			v = v.Elem()
		}
	}
	switch t.Kind() {
	case reflect.Struct:
		f.parts = append(f.parts, defName(t))
		f.collect(t, v)
	case reflect.Map:
		f.remain = true
	default:
		f.custom = true
	}
}

func (f *fields) of(t reflect.Type, v reflect.Value) Schema {
	if f.tag == "yaml" {
		return f.walker.yamlOf(t)
	}
	return f.walker.Of(t, v)
}

// untagged is the key of a field without a tag: mapstructure compares with the
// Go name as it is, the YAML library with its lower-case form.
func (f *fields) untagged(field reflect.StructField) string {
	if f.tag == "yaml" {
		return strings.ToLower(field.Name)
	}
	return field.Name
}

func has(options, option string) bool {
	for _, o := range strings.Split(options, ",") {
		if o == option {
			return true
		}
	}
	return false
}
