package schema

import (
	"os"
	"path/filepath"
	"reflect"
	"strings"
)

// addScrapers types the "scrapers" of the host metrics receiver, which are
// private: the default configuration of each is what its unmarshaler puts into
// the map for an empty section.
func (w *Walker) addScrapers(t reflect.Type, v reflect.Value, s Schema) {
	field, ok := t.FieldByName("Scrapers")
	if !ok || field.Type.Kind() != reflect.Map || field.Tag.Get("mapstructure") != "-" {
		return
	}
	dir := filepath.Join(w.Consts.Dir(t.PkgPath()), "internal", "scraper")
	entries, err := os.ReadDir(dir)
	if err != nil {
		return
	}
	props := Schema{}
	for _, entry := range entries {
		name, isScraper := strings.CutSuffix(entry.Name(), "scraper")
		if !isScraper {
			continue
		}
		if config := scraper(t, v, name); config.IsValid() {
			props[name] = withDefault(w.Of(config.Type(), config), config)
		}
	}
	s["properties"].(Schema)["scrapers"] = Schema{
		"type": "object", "properties": props, "additionalProperties": false,
	}
	// Keys of its own that it does not know are ignored; those below "scrapers"
	// are not.
	delete(s, "x-custom")
	s["additionalProperties"] = false
	s["x-ignores"] = true
}

// scraper returns the default configuration of one scraper.
func scraper(t reflect.Type, v reflect.Value, name string) reflect.Value {
	ptr := copyOf(t, v)
	if !fill(ptr, map[string]any{"scrapers": map[string]any{name: map[string]any{}}}) {
		return reflect.Value{}
	}
	scrapers := ptr.Elem().FieldByName("Scrapers")
	for _, key := range scrapers.MapKeys() {
		return reflect.ValueOf(scrapers.MapIndex(key).Interface()).Elem()
	}
	return reflect.Value{}
}

// withDefault adds the default value to a schema.
func withDefault(s Schema, v reflect.Value) Schema {
	if def, ok := Default(v); ok {
		s["default"] = def
	}
	return s
}
