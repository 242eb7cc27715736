package table

// private lists functions of components that keep them out of reach of
// reflection. Sources: connector/routingconnector/functions.go,
// internal/filter/filterottl/functions.go,
// connector/signaltometricsconnector/internal/customottl/funcs.go.
var private = map[string]map[string][]string{
	"connector/count":             {"metric": filterMetric, "span": filterSpan},
	"connector/sum":               {"metric": filterMetric, "span": filterSpan},
	"connector/signal_to_metrics": {"span": {"AdjustedCount"}},
	"processor/tail_sampling":     {"span": filterSpan},
	"connector/routing": {
		"resource": {"route"}, "span": {"IsRootSpan", "route"}, "metric": {"route"},
		"datapoint": {"route"}, "log": {"route"},
	},
}

var (
	filterMetric = []string{"HasAttrKeyOnDatapoint", "HasAttrOnDatapoint"}
	filterSpan   = []string{"IsRootSpan"}
)

// AddPrivate adds the functions that no factory shows.
func (f *Functions) AddPrivate() {
	for _, name := range []string{"AdjustedCount", "route"} {
		f.All[name] = Function{Args: []Argument{}}
	}
	for id, contexts := range private {
		f.Components[id] = contexts
	}
}
