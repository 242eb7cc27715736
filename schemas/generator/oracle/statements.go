package main

import (
	"fmt"
	"reflect"
	"unsafe"

	"github.com/open-telemetry/opentelemetry-collector-contrib/pkg/ottl"
	"github.com/open-telemetry/opentelemetry-collector-contrib/pkg/ottl/contexts/ottldatapoint"
	"github.com/open-telemetry/opentelemetry-collector-contrib/pkg/ottl/contexts/ottlexemplar"
	"github.com/open-telemetry/opentelemetry-collector-contrib/pkg/ottl/contexts/ottllog"
	"github.com/open-telemetry/opentelemetry-collector-contrib/pkg/ottl/contexts/ottlmetric"
	"github.com/open-telemetry/opentelemetry-collector-contrib/pkg/ottl/contexts/ottlotelcol"
	"github.com/open-telemetry/opentelemetry-collector-contrib/pkg/ottl/contexts/ottlprofile"
	"github.com/open-telemetry/opentelemetry-collector-contrib/pkg/ottl/contexts/ottlprofilesample"
	"github.com/open-telemetry/opentelemetry-collector-contrib/pkg/ottl/contexts/ottlresource"
	"github.com/open-telemetry/opentelemetry-collector-contrib/pkg/ottl/contexts/ottlscope"
	"github.com/open-telemetry/opentelemetry-collector-contrib/pkg/ottl/contexts/ottlspan"
	"github.com/open-telemetry/opentelemetry-collector-contrib/pkg/ottl/contexts/ottlspanevent"
	"github.com/open-telemetry/opentelemetry-collector-contrib/pkg/ottl/ottlfuncs"
	"github.com/open-telemetry/opentelemetry-collector-contrib/processor/transformprocessor"
	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/component/componenttest"
)

// A parser judges one text of a kind in one context, by that context's own
// parser with the functions of the transform processor.
type parser func(kind, text string) error

// newParsers makes a parser for each context; paths must carry their context.
func newParsers() (map[string]parser, error) {
	telemetry := componenttest.NewNopTelemetrySettings()
	parsers := map[string]parser{}
	var problem error
	add := func(context string, made parser, err error) {
		if err != nil && problem == nil {
			problem = fmt.Errorf("parser of %s: %w", context, err)
		}
		parsers[context] = made
	}
	made, err := with(telemetry, private[*ottlspan.TransformContext]("spanFunctions"), ottlspan.NewParser, ottlspan.EnablePathContextNames())
	add(ottlspan.ContextName, made, err)
	made, err = with(telemetry, private[*ottlspanevent.TransformContext]("spanEventFunctions"), ottlspanevent.NewParser, ottlspanevent.EnablePathContextNames())
	add(ottlspanevent.ContextName, made, err)
	made, err = with(telemetry, private[*ottlmetric.TransformContext]("metricFunctions"), ottlmetric.NewParser, ottlmetric.EnablePathContextNames())
	add(ottlmetric.ContextName, made, err)
	made, err = with(telemetry, private[*ottldatapoint.TransformContext]("dataPointFunctions"), ottldatapoint.NewParser, ottldatapoint.EnablePathContextNames())
	add(ottldatapoint.ContextName, made, err)
	made, err = with(telemetry, private[*ottlexemplar.TransformContext]("exemplarFunctions"), ottlexemplar.NewParser, ottlexemplar.EnablePathContextNames())
	add(ottlexemplar.ContextName, made, err)
	made, err = with(telemetry, private[*ottllog.TransformContext]("logFunctions"), ottllog.NewParser, ottllog.EnablePathContextNames())
	add(ottllog.ContextName, made, err)
	made, err = with(telemetry, private[*ottlprofile.TransformContext]("profileFunctions"), ottlprofile.NewParser, ottlprofile.EnablePathContextNames())
	add(ottlprofile.ContextName, made, err)
	made, err = with(telemetry, ottlfuncs.StandardFuncs[*ottlprofilesample.TransformContext](), ottlprofilesample.NewParser, ottlprofilesample.EnablePathContextNames())
	add(ottlprofilesample.ContextName, made, err)
	made, err = with(telemetry, ottlfuncs.StandardFuncs[*ottlresource.TransformContext](), ottlresource.NewParser, ottlresource.EnablePathContextNames())
	add(ottlresource.ContextName, made, err)
	made, err = with(telemetry, ottlfuncs.StandardFuncs[*ottlscope.TransformContext](), ottlscope.NewParser, ottlscope.EnablePathContextNames())
	add(ottlscope.ContextName, made, err)
	made, err = with(telemetry, ottlfuncs.StandardFuncs[*ottlotelcol.TransformContext](), ottlotelcol.NewParser, ottlotelcol.EnablePathContextNames())
	add(ottlotelcol.ContextName, made, err)
	return parsers, problem
}

// with binds the parser of one context to the three kinds of text.
func with[K any](
	telemetry component.TelemetrySettings,
	functions map[string]ottl.Factory[K],
	newParser func(map[string]ottl.Factory[K], component.TelemetrySettings, ...ottl.Option[K]) (ottl.Parser[K], error),
	option ottl.Option[K],
) (parser, error) {
	made, err := newParser(functions, telemetry, option)
	if err != nil {
		return nil, err
	}
	return func(kind, text string) error {
		var err error
		switch kind {
		case "statement":
			_, err = made.ParseStatement(text)
		case "condition":
			_, err = made.ParseCondition(text)
		case "value":
			_, err = made.ParseValueExpression(text)
		default:
			err = fmt.Errorf("oracle: no kind %q", kind)
		}
		return err
	}, nil
}

// private reads a map of functions that the transform processor keeps in its
// default configuration and does not export.
func private[K any](field string) map[string]ottl.Factory[K] {
	config := reflect.ValueOf(transformprocessor.NewFactory().CreateDefaultConfig()).Elem()
	found := config.FieldByName(field)
	return *(*map[string]ottl.Factory[K])(unsafe.Pointer(found.UnsafeAddr()))
}
