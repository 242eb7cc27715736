package schema

import (
	"reflect"
	"slices"
	"strings"
)

// confirmEnums turns suggestions into enumerations where the Validate method
// of the struct refuses an unknown word with another complaint than it has
// about the default configuration, and takes at least two known ones.
func (w *Walker) confirmEnums(t reflect.Type, v reflect.Value, props Schema) {
	if !reflect.PointerTo(t).Implements(reflect.TypeFor[validator]()) {
		return
	}
	for i := range t.NumField() {
		field := t.Field(i)
		name, _, _ := strings.Cut(field.Tag.Get("mapstructure"), ",")
		prop, ok := props[name].(Schema)
		if !ok || !field.IsExported() || field.Type.Kind() != reflect.String {
			continue
		}
		words, ok := prop["x-suggest"].([]string)
		if !ok {
			continue
		}
		before := complaint(t, v, -1, "")
		if complaint(t, v, i, unknownText) == before {
			continue
		}
		valid := []string{}
		for _, word := range withEmpty(words) {
			if complaint(t, v, i, word) == before && !slices.Contains(valid, word) {
				valid = append(valid, word)
			}
		}
		if len(valid) < 2 || !slices.ContainsFunc(valid, func(s string) bool { return s != "" }) {
			continue
		}
		upper := complaint(t, v, i, strings.ToUpper(valid[len(valid)-1]))
		delete(prop, "x-suggest")
		prop["enum"] = valid
		if upper == before && valid[len(valid)-1] != strings.ToUpper(valid[len(valid)-1]) {
			prop["x-fold"] = true
		}
	}
}

// complaint is what Validate says about the default configuration with one
// text field set to a word.
func complaint(t reflect.Type, v reflect.Value, field int, word string) (text string) {
	ptr := copyOf(t, v)
	if field >= 0 {
		ptr.Elem().Field(field).SetString(word)
	}
	defer func() {
		if recover() != nil {
			text = "panic"
		}
	}()
	if err := ptr.Interface().(validator).Validate(); err != nil {
		return err.Error()
	}
	return ""
}

// copyOf returns a pointer to a shallow copy of v, or to a zero value.
func copyOf(t reflect.Type, v reflect.Value) reflect.Value {
	ptr := reflect.New(t)
	if v.IsValid() {
		ptr.Elem().Set(v)
	}
	return ptr
}
