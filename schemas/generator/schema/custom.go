package schema

import (
	"reflect"
	"strings"

	"go.opentelemetry.io/collector/confmap"
)

// unknownKey is a key that no configuration has.
const unknownKey = "zz_unknown_key"

// decode gives content to the type's own unmarshaler, or to the standard
// decoder where it has none.
func decode(t reflect.Type, v reflect.Value, content map[string]any) (err error, panicked bool) {
	defer func() {
		if recover() != nil {
			panicked = true
		}
	}()
	ptr := copyOf(t, v)
	conf := confmap.NewFromStringMap(content)
	if u, ok := ptr.Interface().(confmap.Unmarshaler); ok {
		return u.Unmarshal(conf), false
	}
	return conf.Unmarshal(ptr.Interface()), false
}

// fill decodes content into ptr and tells whether that went well.
func fill(ptr reflect.Value, content map[string]any) (ok bool) {
	defer func() {
		if recover() != nil {
			ok = false
		}
	}()
	u, is := ptr.Interface().(confmap.Unmarshaler)
	return is && u.Unmarshal(confmap.NewFromStringMap(content)) == nil
}

// refusesUnknown tells whether a type that decodes itself still complains
// about a key that is none of its fields. Most generated unmarshalers do: they
// only record which keys the user wrote.
func refusesUnknown(t reflect.Type, v reflect.Value) bool {
	err, panicked := decode(t, v, map[string]any{unknownKey: "x"})
	return !panicked && err != nil && strings.Contains(err.Error(), unknownKey)
}

// loosen finds keys for which the type's own unmarshaler takes shapes that the
// field's type does not have, such as a list of statements where the field is
// a list of groups, and lifts all conditions on them.
func loosen(t reflect.Type, v reflect.Value, props Schema) {
	foreign := map[string][]any{
		"object":  {[]any{unknownText}, unknownText},
		"array":   {[]any{unknownText}, map[string]any{unknownKey: "x"}},
		"string":  {map[string]any{unknownKey: "x"}, []any{unknownText}},
		"boolean": {map[string]any{unknownKey: "x"}, []any{unknownText}},
		"integer": {map[string]any{unknownKey: "x"}, []any{unknownText}},
	}
	for name, p := range props {
		prop := p.(Schema)
		kind, _ := prop["type"].(string)
		if prop["$ref"] != nil {
			kind = "object"
		}
		if items, ok := prop["items"].(Schema); ok && items["$ref"] == nil {
			continue
		}
		for _, shape := range foreign[kind] {
			if err, panicked := decode(t, v, map[string]any{name: shape}); err == nil && !panicked {
				props[name] = Schema{"x-custom": true}
				break
			}
		}
	}
}
