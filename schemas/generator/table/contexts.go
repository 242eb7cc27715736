package table

import (
	"time"

	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/plog"
	"go.opentelemetry.io/collector/pdata/pmetric"
	"go.opentelemetry.io/collector/pdata/pprofile"
	"go.opentelemetry.io/collector/pdata/ptrace"

	"github.com/open-telemetry/opentelemetry-collector-contrib/pkg/ottl/contexts/ottldatapoint"
	"github.com/open-telemetry/opentelemetry-collector-contrib/pkg/ottl/contexts/ottllog"
	"github.com/open-telemetry/opentelemetry-collector-contrib/pkg/ottl/contexts/ottlmetric"
	"github.com/open-telemetry/opentelemetry-collector-contrib/pkg/ottl/contexts/ottlotelcol"
	"github.com/open-telemetry/opentelemetry-collector-contrib/pkg/ottl/contexts/ottlprofile"
	"github.com/open-telemetry/opentelemetry-collector-contrib/pkg/ottl/contexts/ottlprofilesample"
	"github.com/open-telemetry/opentelemetry-collector-contrib/pkg/ottl/contexts/ottlresource"
	"github.com/open-telemetry/opentelemetry-collector-contrib/pkg/ottl/contexts/ottlspan"
	"github.com/open-telemetry/opentelemetry-collector-contrib/pkg/ottl/contexts/ottlspanevent"
)

// Contexts probes every context of the release with data in which as much as
// possible is set, so that each path has a value whose type can be seen.
func Contexts(words Words) map[string]Context {
	out := map[string]Context{
		"resource": probe(words, ottlresource.NewParser, ottlresource.EnablePathContextNames(),
			func() *ottlresource.TransformContext {
				rs := traces().ResourceSpans().At(0)
				return ottlresource.NewTransformContextPtr(rs.Resource(), rs)
			}),
		"span": probe(words, ottlspan.NewParser, ottlspan.EnablePathContextNames(),
			func() *ottlspan.TransformContext {
				rs := traces().ResourceSpans().At(0)
				ss := rs.ScopeSpans().At(0)
				return ottlspan.NewTransformContextPtr(rs, ss, ss.Spans().At(0))
			}),
		"spanevent": probe(words, ottlspanevent.NewParser, ottlspanevent.EnablePathContextNames(),
			func() *ottlspanevent.TransformContext {
				rs := traces().ResourceSpans().At(0)
				ss := rs.ScopeSpans().At(0)
				return ottlspanevent.NewTransformContextPtr(rs, ss, ss.Spans().At(0), ss.Spans().At(0).Events().At(0))
			}),
		"log":           probe(words, ottllog.NewParser, ottllog.EnablePathContextNames(), logSamples()...),
		"metric":        probe(words, ottlmetric.NewParser, ottlmetric.EnablePathContextNames(), metricSamples()...),
		"datapoint":     probe(words, ottldatapoint.NewParser, ottldatapoint.EnablePathContextNames(), pointSamples()...),
		"profile":       probe(words, ottlprofile.NewParser, ottlprofile.EnablePathContextNames(), profileSample),
		"profilesample": probe(words, ottlprofilesample.NewParser, ottlprofilesample.EnablePathContextNames(), sampleSample),
		"otelcol": probe(words, ottlotelcol.NewParser, ottlotelcol.EnablePathContextNames(),
			func() *ottlotelcol.TransformContext { return ottlotelcol.NewTransformContextPtr() }),
	}
	addOwn(out, words)
	return out
}

// sampleTime is some moment; only that it is not zero matters.
var sampleTime = pcommon.NewTimestampFromTime(time.Unix(1700000000, 0))

func describeResource(r pcommon.Resource, scope pcommon.InstrumentationScope) {
	r.Attributes().PutStr("k", "v")
	scope.SetName("scope")
	scope.SetVersion("1")
	scope.Attributes().PutStr("k", "v")
}

func traces() ptrace.Traces {
	data := ptrace.NewTraces()
	rs := data.ResourceSpans().AppendEmpty()
	rs.SetSchemaUrl("u")
	ss := rs.ScopeSpans().AppendEmpty()
	ss.SetSchemaUrl("u")
	describeResource(rs.Resource(), ss.Scope())
	span := ss.Spans().AppendEmpty()
	span.SetName("span")
	span.SetTraceID(pcommon.TraceID{1})
	span.SetSpanID(pcommon.SpanID{1})
	span.SetParentSpanID(pcommon.SpanID{2})
	span.TraceState().FromRaw("k=v")
	span.SetKind(ptrace.SpanKindServer)
	span.SetStartTimestamp(sampleTime)
	span.SetEndTimestamp(sampleTime)
	span.Status().SetMessage("m")
	span.Attributes().PutStr("k", "v")
	span.Links().AppendEmpty()
	event := span.Events().AppendEmpty()
	event.SetName("event")
	event.SetTimestamp(sampleTime)
	event.Attributes().PutStr("k", "v")
	return data
}

// logSamples differ in the type of the body.
func logSamples() []func() *ottllog.TransformContext {
	bodies := []func(pcommon.Value){
		func(v pcommon.Value) { v.SetStr("text") },
		func(v pcommon.Value) { v.SetEmptyMap().PutStr("k", "v") },
		func(v pcommon.Value) { v.SetInt(1) },
	}
	samples := []func() *ottllog.TransformContext{}
	for _, set := range bodies {
		samples = append(samples, func() *ottllog.TransformContext {
			data := plog.NewLogs()
			rl := data.ResourceLogs().AppendEmpty()
			rl.SetSchemaUrl("u")
			sl := rl.ScopeLogs().AppendEmpty()
			sl.SetSchemaUrl("u")
			describeResource(rl.Resource(), sl.Scope())
			record := sl.LogRecords().AppendEmpty()
			set(record.Body())
			record.SetTimestamp(sampleTime)
			record.SetObservedTimestamp(sampleTime)
			record.SetSeverityNumber(plog.SeverityNumberInfo)
			record.SetSeverityText("info")
			record.SetEventName("e")
			record.SetTraceID(pcommon.TraceID{1})
			record.SetSpanID(pcommon.SpanID{1})
			record.Attributes().PutStr("k", "v")
			return ottllog.NewTransformContextPtr(rl, sl, record)
		})
	}
	return samples
}

// metrics returns one metric of every kind, each with one data point.
func metrics() (pmetric.ResourceMetrics, pmetric.ScopeMetrics) {
	data := pmetric.NewMetrics()
	rm := data.ResourceMetrics().AppendEmpty()
	rm.SetSchemaUrl("u")
	sm := rm.ScopeMetrics().AppendEmpty()
	sm.SetSchemaUrl("u")
	describeResource(rm.Resource(), sm.Scope())
	for range 5 {
		m := sm.Metrics().AppendEmpty()
		m.SetName("metric")
		m.SetDescription("d")
		m.SetUnit("1")
		m.Metadata().PutStr("k", "v")
	}
	list := sm.Metrics()
	gauge := list.At(0).SetEmptyGauge().DataPoints().AppendEmpty()
	gauge.SetDoubleValue(1.5)
	describePoint(gauge)
	describeExemplar(gauge.Exemplars().AppendEmpty())
	sum := list.At(1).SetEmptySum()
	sum.SetAggregationTemporality(pmetric.AggregationTemporalityDelta)
	sum.SetIsMonotonic(true)
	point := sum.DataPoints().AppendEmpty()
	point.SetIntValue(1)
	describePoint(point)
	describeHistogram(list.At(2).SetEmptyHistogram())
	describeExponential(list.At(3).SetEmptyExponentialHistogram())
	summary := list.At(4).SetEmptySummary().DataPoints().AppendEmpty()
	summary.SetCount(1)
	summary.SetSum(1)
	summary.QuantileValues().AppendEmpty().SetValue(1)
	describePoint(summary)
	return rm, sm
}

type anyPoint interface {
	Attributes() pcommon.Map
	SetStartTimestamp(pcommon.Timestamp)
	SetTimestamp(pcommon.Timestamp)
	SetFlags(pmetric.DataPointFlags)
}

func describePoint(p anyPoint) {
	p.Attributes().PutStr("k", "v")
	p.SetStartTimestamp(sampleTime)
	p.SetTimestamp(sampleTime)
	p.SetFlags(pmetric.DefaultDataPointFlags.WithNoRecordedValue(true))
}

func describeExemplar(e pmetric.Exemplar) {
	e.SetTimestamp(sampleTime)
	e.SetDoubleValue(1.5)
	e.SetTraceID(pcommon.TraceID{1})
	e.SetSpanID(pcommon.SpanID{1})
	e.FilteredAttributes().PutStr("k", "v")
}

func describeHistogram(h pmetric.Histogram) {
	h.SetAggregationTemporality(pmetric.AggregationTemporalityDelta)
	p := h.DataPoints().AppendEmpty()
	p.SetCount(1)
	p.SetSum(1)
	p.SetMin(1)
	p.SetMax(1)
	p.BucketCounts().FromRaw([]uint64{1, 0})
	p.ExplicitBounds().FromRaw([]float64{1})
	describePoint(p)
	describeExemplar(p.Exemplars().AppendEmpty())
}

func describeExponential(h pmetric.ExponentialHistogram) {
	h.SetAggregationTemporality(pmetric.AggregationTemporalityDelta)
	p := h.DataPoints().AppendEmpty()
	p.SetCount(1)
	p.SetSum(1)
	p.SetMin(1)
	p.SetMax(1)
	p.SetScale(1)
	p.SetZeroCount(1)
	p.SetZeroThreshold(0.5)
	for _, b := range []pmetric.ExponentialHistogramDataPointBuckets{p.Positive(), p.Negative()} {
		b.SetOffset(1)
		b.BucketCounts().FromRaw([]uint64{1})
	}
	describePoint(p)
}

func metricSamples() []func() *ottlmetric.TransformContext {
	samples := []func() *ottlmetric.TransformContext{}
	for i := range 5 {
		samples = append(samples, func() *ottlmetric.TransformContext {
			rm, sm := metrics()
			return ottlmetric.NewTransformContextPtr(rm, sm, sm.Metrics().At(i))
		})
	}
	return samples
}

// pointOf is the first data point of a metric of any kind.
func pointOf(metric pmetric.Metric) any {
	switch metric.Type() {
	case pmetric.MetricTypeGauge:
		return metric.Gauge().DataPoints().At(0)
	case pmetric.MetricTypeSum:
		return metric.Sum().DataPoints().At(0)
	case pmetric.MetricTypeHistogram:
		return metric.Histogram().DataPoints().At(0)
	case pmetric.MetricTypeExponentialHistogram:
		return metric.ExponentialHistogram().DataPoints().At(0)
	}
	return metric.Summary().DataPoints().At(0)
}

func pointSamples() []func() *ottldatapoint.TransformContext {
	samples := []func() *ottldatapoint.TransformContext{}
	for i := range 5 {
		samples = append(samples, func() *ottldatapoint.TransformContext {
			rm, sm := metrics()
			metric := sm.Metrics().At(i)
			return ottldatapoint.NewTransformContextPtr(rm, sm, metric, pointOf(metric))
		})
	}
	return samples
}

func profiles() (pprofile.ResourceProfiles, pprofile.ScopeProfiles, pprofile.ProfilesDictionary) {
	data := pprofile.NewProfiles()
	dictionary := data.Dictionary()
	dictionary.StringTable().Append("", "text")
	dictionary.AttributeTable().AppendEmpty()
	dictionary.LinkTable().AppendEmpty()
	dictionary.StackTable().AppendEmpty()
	rp := data.ResourceProfiles().AppendEmpty()
	rp.SetSchemaUrl("u")
	sp := rp.ScopeProfiles().AppendEmpty()
	sp.SetSchemaUrl("u")
	describeResource(rp.Resource(), sp.Scope())
	profile := sp.Profiles().AppendEmpty()
	profile.SetProfileID(pprofile.ProfileID{1})
	profile.SetTime(sampleTime)
	profile.OriginalPayload().FromRaw([]byte{1})
	profile.SetOriginalPayloadFormat("f")
	sample := profile.Samples().AppendEmpty()
	sample.Values().Append(1)
	sample.TimestampsUnixNano().Append(uint64(sampleTime))
	return rp, sp, dictionary
}

func profileSample() *ottlprofile.TransformContext {
	rp, sp, dictionary := profiles()
	return ottlprofile.NewTransformContextPtr(rp, sp, sp.Profiles().At(0), dictionary)
}

func sampleSample() *ottlprofilesample.TransformContext {
	rp, sp, dictionary := profiles()
	profile := sp.Profiles().At(0)
	return ottlprofilesample.NewTransformContextPtr(rp, sp, profile, profile.Samples().At(0), dictionary)
}
