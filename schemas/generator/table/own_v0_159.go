//go:build !v0_149

package table

import (
	"github.com/open-telemetry/opentelemetry-collector-contrib/pkg/ottl/contexts/ottlexemplar"
	"github.com/open-telemetry/opentelemetry-collector-contrib/pkg/ottl/contexts/ottlscope"
)

// addOwn adds the contexts that only this release has, or makes in its own way.
func addOwn(out map[string]Context, words Words) {
	out["scope"] = probe(words, ottlscope.NewParser, ottlscope.EnablePathContextNames(),
		func() *ottlscope.TransformContext {
			rs := traces().ResourceSpans().At(0)
			ss := rs.ScopeSpans().At(0)
			return ottlscope.NewTransformContextPtr(ss.Scope(), rs.Resource(), ss, rs)
		})
	out["exemplar"] = probe(words, ottlexemplar.NewParser, ottlexemplar.EnablePathContextNames(), exemplarSamples()...)
}

// exemplarSamples take their exemplar from a gauge: a summary has none, but
// its paths exist in this context too.
func exemplarSamples() []func() *ottlexemplar.TransformContext {
	samples := []func() *ottlexemplar.TransformContext{}
	for i := range 5 {
		samples = append(samples, func() *ottlexemplar.TransformContext {
			rm, sm := metrics()
			exemplar := sm.Metrics().At(0).Gauge().DataPoints().At(0).Exemplars().At(0)
			metric := sm.Metrics().At(i)
			return ottlexemplar.NewTransformContextPtr(rm, sm, metric, pointOf(metric), exemplar)
		})
	}
	return samples
}
