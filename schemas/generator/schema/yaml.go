package schema

import (
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
)

// yamlOf is the schema of a type that is read by a YAML library, as the
// Prometheus configuration is. Types of its own that read themselves are text
// or anything.
func (w *Walker) yamlOf(t reflect.Type) Schema {
	if t.Kind() == reflect.Pointer {
		s := w.yamlOf(t.Elem())
		s["x-null"] = true
		return s
	}
	name := base(t.PkgPath()) + "." + t.Name()
	switch name {
	case "config.Secret", "commonconfig.Secret":
		return Schema{"type": "string", "x-secret": true}
	case "relabel.Regexp", "config.URL", "labels.Labels", "units.Base2Bytes":
		return yamlSpecial(name)
	}
	switch t.Kind() {
	case reflect.Struct:
		if inlineOnly(t) {
			return Schema{}
		}
		return Schema{"$ref": "#/$defs/" + w.defineYAML(t)}
	case reflect.Slice:
		return Schema{"type": "array", "items": w.yamlOf(t.Elem())}
	case reflect.Map:
		return Schema{"type": "object", "additionalProperties": w.yamlOf(t.Elem())}
	case reflect.Interface, reflect.Func:
		return Schema{}
	}
	if t.PkgPath() != "" && reflect.PointerTo(t).NumMethod() > 0 && readsItself(t) {
		return Schema{"type": "string", "x-text": name}
	}
	return w.scalar(t)
}

func yamlSpecial(name string) Schema {
	if name == "labels.Labels" {
		return Schema{"type": "object", "additionalProperties": Schema{"type": "string"}}
	}
	return Schema{"type": "string", "x-text": name}
}

func readsItself(t reflect.Type) bool {
	for _, method := range []string{"UnmarshalYAML", "UnmarshalText", "Set"} {
		if _, ok := reflect.PointerTo(t).MethodByName(method); ok {
			return true
		}
	}
	return false
}

// inlineOnly tells whether nothing can be learnt from the fields: a struct
// that has no YAML tag at all reads itself.
func inlineOnly(t reflect.Type) bool {
	for i := range t.NumField() {
		if _, ok := t.Field(i).Tag.Lookup("yaml"); ok {
			return false
		}
	}
	return t.NumField() > 0
}

func (w *Walker) defineYAML(t reflect.Type) string {
	if name, ok := w.active[t]; ok {
		return name
	}
	w.active[t] = w.reserve(t)
	props := Schema{}
	f := &fields{walker: w, tag: "yaml", props: props}
	f.collect(t, reflect.Value{})
	w.addDiscovery(t, props)
	s := Schema{"type": "object", "properties": props, "additionalProperties": f.remain}
	name := w.active[t]
	delete(w.active, t)
	return w.store(t, name, s)
}

// addDiscovery adds the keys "<mechanism>_sd_configs" to a struct that takes
// service discovery. The Prometheus library builds these fields at run time
// from registered mechanisms, whose names stand in their sources.
func (w *Walker) addDiscovery(t reflect.Type, props Schema) {
	for i := range t.NumField() {
		field := t.Field(i)
		if base(field.Type.PkgPath())+"."+field.Type.Name() != "discovery.Configs" {
			continue
		}
		for _, name := range w.mechanisms(field.Type.PkgPath()) {
			key := name + "_sd_configs"
			if name == "static" {
				key = "static_configs"
			}
			props[key] = Schema{"type": "array", "items": Schema{"type": "object", "additionalProperties": true}}
		}
	}
}

// mechanisms reads the names that Name methods below a package return.
func (w *Walker) mechanisms(pkg string) []string {
	names := []string{}
	_ = filepath.WalkDir(w.Consts.Dir(pkg), func(path string, entry os.DirEntry, err error) error {
		if err != nil || entry.IsDir() || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
			return err
		}
		file, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.SkipObjectResolution)
		if err != nil {
			return nil
		}
		for _, decl := range file.Decls {
			if name, ok := returnedName(decl); ok {
				names = append(names, name)
			}
		}
		return nil
	})
	slices.Sort(names)
	return slices.Compact(names)
}

// returnedName is the text that a method called Name returns.
func returnedName(decl ast.Decl) (string, bool) {
	method, ok := decl.(*ast.FuncDecl)
	if !ok || method.Recv == nil || method.Name.Name != "Name" || method.Body == nil || len(method.Body.List) != 1 {
		return "", false
	}
	ret, ok := method.Body.List[0].(*ast.ReturnStmt)
	if !ok || len(ret.Results) != 1 {
		return "", false
	}
	return literal(ret.Results[0])
}
