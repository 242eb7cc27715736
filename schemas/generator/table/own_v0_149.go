//go:build v0_149

package table

import "github.com/open-telemetry/opentelemetry-collector-contrib/pkg/ottl/contexts/ottlscope"

// addOwn adds the contexts that only this release has, or makes in its own way.
func addOwn(out map[string]Context, words Words) {
	out["scope"] = probe(words, ottlscope.NewParser, ottlscope.EnablePathContextNames(),
		func() *ottlscope.TransformContext {
			rs := traces().ResourceSpans().At(0)
			ss := rs.ScopeSpans().At(0)
			return ottlscope.NewTransformContextPtr(ss.Scope(), rs.Resource(), ss)
		})
}
