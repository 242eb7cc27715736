package main

import (
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"reflect"
	"regexp"
	"slices"
	"strings"

	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/otelcol"
	"go.opentelemetry.io/collector/service/telemetry"

	"gitsync/schemas/generator/components"
	"gitsync/schemas/generator/schema"
)

// part is one component that could be built.
type part struct {
	id      string
	factory component.Factory
	aliases []string
}

// collect lists the factories by id, without those of old names. A module of an
// older release can still have the old name: the list knows the one of today.
func collect(f otelcol.Factories, known map[string]entry, dirs *directories) []part {
	all := map[string]component.Factory{}
	add(all, "receiver", f.Receivers)
	add(all, "processor", f.Processors)
	add(all, "exporter", f.Exporters)
	add(all, "connector", f.Connectors)
	add(all, "extension", f.Extensions)
	byModule := map[string]string{}
	for id, e := range known {
		byModule[e.Module] = id
	}
	parts := []part{}
	for _, id := range slices.Sorted(maps.Keys(all)) {
		factory := all[id]
		module, _ := dirs.module(packageOf(factory))
		if today, ok := byModule[module]; ok {
			id = today
		}
		parts = append(parts, part{id, factory, aliases(factory)})
	}
	slices.SortFunc(parts, func(a, b part) int { return strings.Compare(a.id, b.id) })
	return parts
}

func add[F component.Factory](all map[string]component.Factory, kind string, factories map[component.Type]F) {
	for _, factory := range factories {
		all[kind+"/"+factory.Type().String()] = factory
	}
}

// aliases asks a factory for its old name. The method is not part of the
// public interface.
func aliases(f component.Factory) []string {
	holder, ok := f.(interface{ DeprecatedAlias() component.Type })
	if !ok || holder.DeprecatedAlias().String() == "" {
		return []string{}
	}
	return []string{holder.DeprecatedAlias().String()}
}

// entry is one line of components.json, and of the hand-reviewed list.
type entry struct {
	Module        string            `json:"module"`
	Signals       map[string]string `json:"signals"`
	Stability     string            `json:"stability,omitempty"`
	Aliases       []string          `json:"aliases"`
	Deprecated    bool              `json:"deprecated"`
	Fields        bool              `json:"fields"`
	TakenFrom     string            `json:"taken_from,omitempty"`
	Distributions []string          `json:"distributions,omitempty"`
}

func readKnown(name string) (map[string]entry, error) {
	data, err := os.ReadFile(name)
	if err != nil {
		return nil, err
	}
	list := map[string]entry{}
	if err := json.Unmarshal(data, &list); err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	return list, nil
}

// catalog is the content of components.json. What a factory of this release
// says of itself wins over the list; where the factory is of an older release,
// the list wins.
func catalog(parts []part, known map[string]entry, dirs *directories) map[string]any {
	all := map[string]entry{}
	distributions := map[string][]string{"contrib": {}, "core": {}, "k8s": {}}
	for _, id := range slices.Sorted(maps.Keys(known)) {
		e := known[id]
		for _, d := range e.Distributions {
			distributions[d] = append(distributions[d], id)
		}
		e.Distributions = nil
		all[id] = e
	}
	for _, p := range parts {
		e := describe(p, dirs)
		if k, ok := all[p.id]; ok && e.TakenFrom != "" {
			k.Fields, k.TakenFrom = true, e.TakenFrom
			e = k
		}
		all[p.id] = e
	}
	return map[string]any{"version": components.Version, "distributions": distributions, "components": all}
}

func describe(p part, dirs *directories) entry {
	e := entry{Signals: signals(p.factory), Aliases: p.aliases, Fields: true}
	module, version := dirs.module(packageOf(p.factory))
	e.Module = module
	if v := strings.TrimPrefix(version, "v"); v != components.Version && strings.HasPrefix(v, "0.") {
		e.TakenFrom = v
	}
	if f, ok := p.factory.(interface {
		Stability() component.StabilityLevel
	}); ok {
		e.Stability = stability(f.Stability())
	}
	e.Deprecated = e.Stability == "deprecated"
	for _, level := range e.Signals {
		e.Deprecated = level == "deprecated"
		if !e.Deprecated {
			break
		}
	}
	return e
}

// packageOf is the package of the default configuration, which lies in the
// module of the component.
func packageOf(f component.Factory) string {
	t := reflect.TypeOf(f.CreateDefaultConfig())
	for t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	return t.PkgPath()
}

var stabilityMethod = regexp.MustCompile(`^((?:Traces|Metrics|Logs|Profiles)(?:To(?:Traces|Metrics|Logs|Profiles))?)Stability$`)

// signals calls every method such as TracesStability or LogsToMetricsStability.
func signals(f component.Factory) map[string]string {
	out := map[string]string{}
	v := reflect.ValueOf(f)
	for i := range v.NumMethod() {
		match := stabilityMethod.FindStringSubmatch(v.Type().Method(i).Name)
		if match == nil {
			continue
		}
		level := v.Method(i).Call(nil)[0].Interface().(component.StabilityLevel)
		if level != component.StabilityLevelUndefined {
			out[strings.ToLower(strings.ReplaceAll(match[1], "To", "_to_"))] = stability(level)
		}
	}
	return out
}

func stability(level component.StabilityLevel) string {
	return strings.ToLower(level.String())
}

// settings is the content of settings.json.
func settings(w *schema.Walker, parts []part, t telemetry.Factory) map[string]any {
	byID := map[string]any{}
	for _, p := range parts {
		byID[p.id] = ofConfig(w, p.factory.CreateDefaultConfig())
	}
	return map[string]any{
		"version":    components.Version,
		"components": byID,
		"telemetry":  ofConfig(w, t.CreateDefaultConfig()),
		"$defs":      w.Defs,
	}
}

func ofConfig(w *schema.Walker, config any) schema.Schema {
	v := reflect.ValueOf(config)
	for v.Kind() == reflect.Pointer {
		v = v.Elem()
	}
	s := w.Of(v.Type(), v)
	if def, ok := schema.Default(v); ok {
		s["default"] = def
	}
	return s
}
