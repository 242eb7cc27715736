package schema

import (
	"encoding"
	"fmt"
	"reflect"
	"slices"
	"sort"
	"strings"
)

// unknownText is a value that no enumeration has.
const unknownText = "zz_unknown"

// freeTexts are values that a type accepts which takes more than a list of
// words: numbers, times, addresses, patterns.
var freeTexts = []string{"17", "17s", "1m", "a:b", "a/b", "1.2.3.4", "zz", "2h45m", "1.5"}

// text is the schema of a type that unmarshals itself from text.
func (w *Walker) text(t reflect.Type) Schema {
	s := Schema{"type": "string", "x-text": base(t.PkgPath()) + "." + t.Name(), "x-go": t.Kind().String()}
	if accepts(t, unknownText) {
		return s
	}
	for _, free := range freeTexts {
		if accepts(t, free) {
			return s
		}
	}
	words, fold := []string{}, true
	for _, word := range w.candidates(t) {
		if !accepts(t, word) {
			continue
		}
		words = append(words, word)
		if !accepts(t, strings.ToUpper(word)) || !accepts(t, strings.ToLower(word)) {
			fold = false
		}
	}
	if len(words) < 2 || w.takesMore(t, words) {
		return s
	}
	if fold {
		words = folded(words)
		s["x-fold"] = true
	}
	s["enum"] = words
	return s
}

// takesMore tells whether something longer than a word is accepted too, such
// as a path that starts with it.
func (w *Walker) takesMore(t reflect.Type, words []string) bool {
	for _, word := range words {
		for _, more := range []string{".a", "/a", ":1", "[a]", ",a"} {
			if word != "" && accepts(t, word+more) {
				return true
			}
		}
	}
	return false
}

// folded drops words that differ from another one in case only.
func folded(words []string) []string {
	seen, out := map[string]bool{}, []string{}
	for _, word := range words {
		if lower := strings.ToLower(word); !seen[lower] {
			seen[lower] = true
			out = append(out, lower)
		}
	}
	return out
}

// accepts tells whether the unmarshaler of t takes the text.
func accepts(t reflect.Type, text string) (ok bool) {
	defer func() {
		if recover() != nil {
			ok = false
		}
	}()
	u, is := reflect.New(t).Interface().(encoding.TextUnmarshaler)
	return is && u.UnmarshalText([]byte(text)) == nil
}

// candidates are words that could belong to an enumeration: constants, words
// in the methods of the type, and the names of small numbers.
func (w *Walker) candidates(t reflect.Type) []string {
	set := map[string]bool{"": true}
	for _, word := range w.Consts.Of(t) {
		set[word] = true
	}
	for _, word := range w.Consts.InMethods(t) {
		set[word] = true
	}
	// Last, constants without a type, as they stand in "switch" of some unmarshalers.
	for _, word := range w.Consts.Untyped(t) {
		set[word] = true
	}
	if k := t.Kind(); k >= reflect.Int && k <= reflect.Int64 {
		for i := int64(-8); i <= 32; i++ {
			v := reflect.New(t).Elem()
			v.SetInt(i)
			set[textOf(v)] = true
		}
	}
	words := []string{}
	for word := range set {
		words = append(words, word)
	}
	sort.Strings(words)
	return words
}

// textOf is the text form of a value, as it would stand in a configuration.
func textOf(v reflect.Value) (text string) {
	defer func() {
		if recover() != nil {
			text = ""
		}
	}()
	if m, ok := v.Interface().(encoding.TextMarshaler); ok {
		if data, err := m.MarshalText(); err == nil {
			return string(data)
		}
	}
	return fmt.Sprint(v.Interface())
}

// named is the schema of a text type without an unmarshaler. Its constants are
// a suggestion until the Validate method of the owner turns out to refuse
// others (see confirmEnums).
func (w *Walker) named(t reflect.Type) Schema {
	s := Schema{"type": "string"}
	words := w.Consts.Of(t)
	if len(words) < 2 {
		return s
	}
	if refusedBy(reflect.New(t), unknownText) {
		valid := []string{}
		for _, word := range withEmpty(words) {
			if !refusedBy(reflect.New(t), word) {
				valid = append(valid, word)
			}
		}
		s["enum"] = valid
		return s
	}
	s["x-suggest"] = words
	return s
}

// withEmpty puts the empty text first: it means "not set" and is often valid.
func withEmpty(words []string) []string {
	if slices.Contains(words, "") {
		return words
	}
	return append([]string{""}, words...)
}

type validator interface{ Validate() error }

// refusedBy tells whether the type's own Validate refuses the word.
func refusedBy(ptr reflect.Value, word string) (refused bool) {
	v, ok := ptr.Interface().(validator)
	if !ok {
		return false
	}
	defer func() {
		if recover() != nil {
			refused = false
		}
	}()
	ptr.Elem().SetString(word)
	return v.Validate() != nil
}
