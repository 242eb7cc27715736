package schema

import (
	"reflect"
	"regexp"
	"strings"
)

var majorVersion = regexp.MustCompile(`^v[0-9.]+$`)

// base returns the last part of a package path that is a name.
func base(pkg string) string {
	parts := strings.Split(pkg, "/")
	for i := len(parts) - 1; i > 0; i-- {
		if !majorVersion.MatchString(parts[i]) {
			return parts[i]
		}
	}
	return parts[0]
}

// defName names the definition of a struct type. Internal packages are often
// called the same in many components, so the component's name goes first.
func defName(t reflect.Type) string {
	pkg := t.PkgPath()
	name, _, _ := strings.Cut(t.Name(), "[")
	if name == "" {
		name = "anonymous"
	}
	prefix := base(pkg)
	if owner, _, internal := strings.Cut(pkg, "/internal/"); internal && !strings.HasSuffix(owner, "/opentelemetry-collector-contrib") {
		prefix = base(owner) + "." + prefix
	}
	return prefix + "." + name
}
