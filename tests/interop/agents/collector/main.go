// Command otelcol is the small OpenTelemetry Collector that the interop tests run under the real
// supervisor: a handful of components, pinned by go.mod and go.sum, without a generator.
package main

import (
	"fmt"
	"os"
	"runtime/debug"

	"github.com/open-telemetry/opentelemetry-collector-contrib/extension/healthcheckextension"
	"github.com/open-telemetry/opentelemetry-collector-contrib/extension/opampextension"
	"github.com/open-telemetry/opentelemetry-collector-contrib/processor/filterprocessor"
	"github.com/open-telemetry/opentelemetry-collector-contrib/processor/transformprocessor"
	"github.com/open-telemetry/opentelemetry-collector-contrib/receiver/hostmetricsreceiver"
	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/confmap"
	"go.opentelemetry.io/collector/confmap/provider/envprovider"
	"go.opentelemetry.io/collector/confmap/provider/fileprovider"
	"go.opentelemetry.io/collector/confmap/provider/yamlprovider"
	"go.opentelemetry.io/collector/exporter"
	"go.opentelemetry.io/collector/exporter/debugexporter"
	"go.opentelemetry.io/collector/exporter/nopexporter"
	"go.opentelemetry.io/collector/exporter/otlpexporter"
	"go.opentelemetry.io/collector/exporter/otlphttpexporter"
	"go.opentelemetry.io/collector/extension"
	"go.opentelemetry.io/collector/otelcol"
	"go.opentelemetry.io/collector/processor"
	"go.opentelemetry.io/collector/processor/batchprocessor"
	"go.opentelemetry.io/collector/processor/memorylimiterprocessor"
	"go.opentelemetry.io/collector/receiver"
	"go.opentelemetry.io/collector/receiver/nopreceiver"
	"go.opentelemetry.io/collector/receiver/otlpreceiver"
	"go.opentelemetry.io/collector/service/telemetry/otelconftelemetry"
)

const (
	core    = "go.opentelemetry.io/collector/"
	contrib = "github.com/open-telemetry/opentelemetry-collector-contrib/"
	// The module whose version names the whole Collector.
	coreModule = core + "otelcol"
)

// part is a component with the Go module it comes from. The module is reported over OpAMP, where a
// server reads from it which version of the component an agent has.
type part[F component.Factory] struct {
	module  string
	factory F
}

// versions maps every module linked into this binary to its version.
func versions() map[string]string {
	found := map[string]string{}
	if info, ok := debug.ReadBuildInfo(); ok {
		for _, dep := range info.Deps {
			found[dep.Path] = dep.Version
		}
	}
	return found
}

// index keys the parts by component type, aliases included, and names the module of each.
func index[F component.Factory](known map[string]string, parts []part[F]) (map[component.Type]F, map[component.Type]string, error) {
	factories := map[component.Type]F{}
	modules := map[component.Type]string{}
	for _, p := range parts {
		version, ok := known[p.module]
		if !ok {
			return nil, nil, fmt.Errorf("module %s is not part of this binary", p.module)
		}
		// One part at a time, because the map that comes back also holds the old names of the part.
		named, err := otelcol.MakeFactoryMap(p.factory)
		if err != nil {
			return nil, nil, err
		}
		for kind, factory := range named {
			factories[kind] = factory
			modules[kind] = p.module + " " + version
		}
	}
	return factories, modules, nil
}

func factories() (otelcol.Factories, error) {
	known := versions()
	all := otelcol.Factories{Telemetry: otelconftelemetry.NewFactory()}
	var err error
	if all.Receivers, all.ReceiverModules, err = index(known, []part[receiver.Factory]{
		// Not for users: the supervisor runs the Collector on nop pipelines before it has a configuration.
		{core + "receiver/nopreceiver", nopreceiver.NewFactory()},
		{core + "receiver/otlpreceiver", otlpreceiver.NewFactory()},
		{contrib + "receiver/hostmetricsreceiver", hostmetricsreceiver.NewFactory()},
	}); err != nil {
		return all, err
	}
	if all.Processors, all.ProcessorModules, err = index(known, []part[processor.Factory]{
		{core + "processor/batchprocessor", batchprocessor.NewFactory()},
		{core + "processor/memorylimiterprocessor", memorylimiterprocessor.NewFactory()},
		{contrib + "processor/transformprocessor", transformprocessor.NewFactory()},
		{contrib + "processor/filterprocessor", filterprocessor.NewFactory()},
	}); err != nil {
		return all, err
	}
	if all.Exporters, all.ExporterModules, err = index(known, []part[exporter.Factory]{
		{core + "exporter/debugexporter", debugexporter.NewFactory()},
		{core + "exporter/nopexporter", nopexporter.NewFactory()},
		{core + "exporter/otlpexporter", otlpexporter.NewFactory()},
		{core + "exporter/otlphttpexporter", otlphttpexporter.NewFactory()},
	}); err != nil {
		return all, err
	}
	all.Extensions, all.ExtensionModules, err = index(known, []part[extension.Factory]{
		{contrib + "extension/opampextension", opampextension.NewFactory()},
		{contrib + "extension/healthcheckextension", healthcheckextension.NewFactory()},
	})
	return all, err
}

func main() {
	command := otelcol.NewCommand(otelcol.CollectorSettings{
		BuildInfo: component.BuildInfo{
			Command:     "otelcol",
			Description: "small Collector for interop tests",
			Version:     versions()[coreModule],
		},
		Factories: factories,
		ConfigProviderSettings: otelcol.ConfigProviderSettings{ResolverSettings: confmap.ResolverSettings{
			ProviderFactories: []confmap.ProviderFactory{
				envprovider.NewFactory(),
				fileprovider.NewFactory(),
				yamlprovider.NewFactory(),
			},
		}},
	})
	if err := command.Execute(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}
