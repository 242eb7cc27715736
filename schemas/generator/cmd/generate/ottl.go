package main

import (
	"path/filepath"

	"gitsync/schemas/generator/components"
	"gitsync/schemas/generator/table"
)

const contextsPackage = "github.com/open-telemetry/opentelemetry-collector-contrib/pkg/ottl/contexts/internal"

// ottl is the content of ottl.json.
func ottl(parts []part, dirs *directories) (map[string]any, error) {
	functions := table.NewFunctions()
	for _, p := range parts {
		functions.AddComponent(p.id, p.factory.CreateDefaultConfig())
	}
	functions.AddPrivate()
	words, err := table.ReadWords(filepath.Clean(dirs.of(contextsPackage)))
	if err != nil {
		return nil, err
	}
	return map[string]any{
		"version":    components.Version,
		"functions":  functions.All,
		"standard":   functions.Standard,
		"components": functions.Components,
		"contexts":   table.Contexts(words),
	}, nil
}
