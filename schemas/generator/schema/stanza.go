package schema

import (
	"maps"
	"reflect"
	"slices"
	"unsafe"

	"github.com/open-telemetry/opentelemetry-collector-contrib/pkg/stanza/operator"
)

// operatorsName is the definition of a list of log operators.
const operatorsName = "stanza.Operators"

// operators is the schema of a list of log operators: each has a "type" that
// selects the struct. The registry keeps its builders private.
func (w *Walker) operators() Schema {
	ref := Schema{"$ref": "#/$defs/" + operatorsName}
	if _, done := w.Defs[operatorsName]; done {
		return ref
	}
	byType := Schema{}
	w.Defs[operatorsName] = Schema{
		"type":        "array",
		"items":       Schema{"type": "object", "additionalProperties": true},
		"x-operators": byType,
	}
	field := reflect.ValueOf(operator.DefaultRegistry).Elem().FieldByName("operators")
	builders := *(*map[string]func() operator.Builder)(unsafe.Pointer(field.UnsafeAddr()))
	// In order, because the order decides which of two equal names gets a number.
	for _, name := range slices.Sorted(maps.Keys(builders)) {
		value := reflect.ValueOf(builders[name]()).Elem()
		byType[name] = withDefault(w.Of(value.Type(), value), value)
	}
	return ref
}
