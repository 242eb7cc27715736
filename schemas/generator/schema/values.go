package schema

import (
	"encoding"
	"fmt"
	"reflect"
	"strings"
	"time"
	"unsafe"
)

// readable makes a field that was reached through an unexported one readable.
// Types such as configoptional.Optional keep their value private.
func readable(v reflect.Value) reflect.Value {
	if v.CanInterface() || !v.CanAddr() {
		return v
	}
	return reflect.NewAt(v.Type(), unsafe.Pointer(v.UnsafeAddr())).Elem()
}

// Default renders a default value as it would stand in a configuration. The
// second result is false for a zero value, which is not worth a line.
func Default(v reflect.Value) (any, bool) {
	if !v.IsValid() {
		return nil, false
	}
	t := v.Type()
	switch {
	case t.Kind() == reflect.Pointer || t.Kind() == reflect.Interface:
		if v.IsNil() {
			return nil, false
		}
		return Default(addressable(v.Elem()))
	case isOptional(t):
		if v.FieldByName("flavor").Int() == 0 {
			return nil, false
		}
		return Default(readable(v.FieldByName("value")))
	case isNoise(t) || !v.CanInterface():
		return nil, false
	case t == durationType:
		return time.Duration(v.Int()).String(), v.Int() != 0
	}
	if _, ok := v.Interface().(encoding.TextMarshaler); ok && !v.IsZero() {
		text := textOf(v)
		return text, text != ""
	}
	return plain(v)
}

// isNoise names what has no place among defaults: masked secrets, and the
// hundreds of metrics whose default is only "enabled".
func isNoise(t reflect.Type) bool {
	b := base(t.PkgPath())
	return b == "configopaque" || b == "metadata"
}

func plain(v reflect.Value) (any, bool) {
	switch v.Kind() {
	case reflect.Bool:
		return v.Bool(), v.Bool()
	case reflect.String:
		return v.String(), v.String() != ""
	case reflect.Float32, reflect.Float64:
		return v.Float(), v.Float() != 0
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		return v.Int(), v.Int() != 0
	case reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		return v.Uint(), v.Uint() != 0
	case reflect.Slice, reflect.Array:
		return list(v)
	case reflect.Map:
		return object(v)
	case reflect.Struct:
		out := map[string]any{}
		structDefaults(v, out)
		return out, len(out) > 0
	}
	return nil, false
}

func list(v reflect.Value) (any, bool) {
	out := []any{}
	for i := range v.Len() {
		item, _ := Default(addressable(v.Index(i)))
		out = append(out, item)
	}
	return out, len(out) > 0
}

func object(v reflect.Value) (any, bool) {
	out := map[string]any{}
	for _, key := range v.MapKeys() {
		if item, ok := Default(addressable(v.MapIndex(key))); ok {
			out[fmt.Sprint(key.Interface())] = item
		}
	}
	return out, len(out) > 0
}

func structDefaults(v reflect.Value, out map[string]any) {
	t := v.Type()
	for i := range t.NumField() {
		field := t.Field(i)
		name, options, _ := strings.Cut(field.Tag.Get("mapstructure"), ",")
		value := readable(v.Field(i))
		// A description is a text of its author, not a setting worth showing.
		if name == "-" || name == "description" || has(options, "remain") {
			continue
		}
		if has(options, "squash") {
			for value.Kind() == reflect.Pointer && !value.IsNil() {
				value = value.Elem()
			}
			if value.Kind() == reflect.Struct && !isNoise(value.Type()) {
				structDefaults(value, out)
			}
			continue
		}
		if !field.IsExported() {
			continue
		}
		if name == "" {
			name = field.Name
		}
		if item, ok := Default(value); ok {
			out[name] = item
		}
	}
}

// addressable copies a value that cannot be addressed, such as a map element.
func addressable(v reflect.Value) reflect.Value {
	if v.CanAddr() || !v.CanInterface() {
		return v
	}
	ptr := reflect.New(v.Type())
	ptr.Elem().Set(v)
	return ptr.Elem()
}
