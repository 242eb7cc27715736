package main

import (
	"bytes"
	"context"
	"encoding/hex"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/google/uuid"
	"github.com/open-telemetry/opamp-go/client"
	"github.com/open-telemetry/opamp-go/client/types"
	"github.com/open-telemetry/opamp-go/protobufs"
)

const stopping = 5 * time.Second

// command is one line of standard input; Do says which of the rest counts.
type command struct {
	Do         string `json:"do"`
	Capability string `json:"capability"`
	Type       string `json:"type"`
	Data       string `json:"data"`
	Healthy    bool   `json:"healthy"`
	Error      string `json:"error"`
}

// agent is one client library's client, and what a real agent keeps on its disk.
type agent struct {
	given  options
	offers chan *protobufs.OpAMPConnectionSettings
	store  *packageStore
	client client.OpAMPClient
	link   link

	mutex     sync.Mutex
	uid       types.InstanceUid
	status    *protobufs.RemoteConfigStatus
	effective map[string]*protobufs.AgentConfigFile
}

func newAgent(given options) *agent {
	return &agent{
		given:  given,
		offers: make(chan *protobufs.OpAMPConnectionSettings, 1),
		store:  newPackageStore(),
		link:   firstLink(given),
		uid:    types.InstanceUid(given.uid),
	}
}

func (a *agent) id() string {
	a.mutex.Lock()
	defer a.mutex.Unlock()
	return hex.EncodeToString(a.uid[:])
}

func (a *agent) capabilities() protobufs.AgentCapabilities {
	bits := protobufs.AgentCapabilities_AgentCapabilities_ReportsStatus |
		protobufs.AgentCapabilities_AgentCapabilities_AcceptsRemoteConfig |
		protobufs.AgentCapabilities_AgentCapabilities_ReportsRemoteConfig |
		protobufs.AgentCapabilities_AgentCapabilities_ReportsEffectiveConfig |
		protobufs.AgentCapabilities_AgentCapabilities_ReportsHealth |
		protobufs.AgentCapabilities_AgentCapabilities_ReportsHeartbeat
	if a.given.packages {
		bits |= protobufs.AgentCapabilities_AgentCapabilities_AcceptsPackages |
			protobufs.AgentCapabilities_AgentCapabilities_ReportsPackageStatuses
	}
	if a.given.settings {
		bits |= protobufs.AgentCapabilities_AgentCapabilities_AcceptsOpAMPConnectionSettings |
			protobufs.AgentCapabilities_AgentCapabilities_AcceptsOtherConnectionSettings |
			protobufs.AgentCapabilities_AgentCapabilities_ReportsOwnMetrics |
			protobufs.AgentCapabilities_AgentCapabilities_ReportsOwnTraces |
			protobufs.AgentCapabilities_AgentCapabilities_ReportsOwnLogs |
			protobufs.AgentCapabilities_AgentCapabilities_ReportsConnectionSettingsStatus
	}
	if a.given.restart {
		bits |= protobufs.AgentCapabilities_AgentCapabilities_AcceptsRestartCommand
	}
	if len(a.given.components) > 0 {
		bits |= protobufs.AgentCapabilities_AgentCapabilities_ReportsAvailableComponents
	}
	return bits
}

// start makes a client on the present link and lets it connect.
func (a *agent) start() error {
	if strings.HasPrefix(a.link.endpoint, "http") {
		a.client = client.NewHTTP(logger{})
	} else {
		a.client = client.NewWebSocket(logger{})
	}
	if err := a.describe(); err != nil {
		return err
	}
	settings := types.StartSettings{
		OpAMPServerURL: a.link.endpoint,
		Header:         a.link.header,
		TLSConfig:      a.link.tls,
		InstanceUid:    a.uid,
		// Not SetCapabilities: before the start it refuses packages, for want of the provider that Start brings.
		Capabilities:       a.capabilities(),
		HeartbeatInterval:  &a.link.interval,
		EnableCompression:  a.given.compress,
		RemoteConfigStatus: a.status,
		Callbacks: types.Callbacks{
			OnConnect:       func(context.Context) { emit("connected", nil) },
			OnConnectFailed: func(_ context.Context, err error) { emit("unreachable", fields{"error": err.Error()}) },
			OnError: func(_ context.Context, refused *protobufs.ServerErrorResponse) {
				emit("refused", fields{"type": refused.Type.String(), "error": refused.ErrorMessage})
			},
			OnMessage:                 a.take,
			OnOpampConnectionSettings: a.takeSettings,
			OnConnectionSettings:      takeOtherSettings,
			OnCommand: func(_ context.Context, one *protobufs.ServerToAgentCommand) error {
				emit("command", fields{"type": one.Type.String()})
				return nil
			},
			GetEffectiveConfig: func(context.Context) (*protobufs.EffectiveConfig, error) {
				a.mutex.Lock()
				defer a.mutex.Unlock()
				return &protobufs.EffectiveConfig{
					ConfigMap: &protobufs.AgentConfigMap{ConfigMap: maps.Clone(a.effective)},
				}, nil
			},
		},
	}
	if a.given.packages {
		settings.PackagesStateProvider = a.store
	}
	return a.client.Start(context.Background(), settings)
}

// describe sets what the first message says.
func (a *agent) describe() error {
	description := &protobufs.AgentDescription{
		IdentifyingAttributes:    attributes(a.given.identifying),
		NonIdentifyingAttributes: attributes(a.given.attributes),
	}
	description.IdentifyingAttributes = append(
		description.IdentifyingAttributes, attributes(pairs{"service.name": a.given.service})...,
	)
	if err := a.client.SetAgentDescription(description); err != nil {
		return err
	}
	if err := a.client.SetHealth(health(true, "")); err != nil {
		return err
	}
	if len(a.given.components) > 0 {
		if err := a.client.SetAvailableComponents(available(a.given.components)); err != nil {
			return err
		}
	}
	names := slices.Sorted(maps.Keys(a.given.custom))
	if err := a.client.SetCustomCapabilities(&protobufs.CustomCapabilities{Capabilities: names}); err != nil {
		return err
	}
	if a.given.requestUid {
		a.client.SetFlags(protobufs.AgentToServerFlags_AgentToServerFlags_RequestInstanceUid)
	}
	return nil
}

// stop says farewell.
func (a *agent) stop() {
	ctx, cancel := context.WithTimeout(context.Background(), stopping)
	defer cancel()
	if err := a.client.Stop(ctx); err != nil {
		emit("error", fields{"do": "stop", "error": err.Error()})
	}
}

// do carries out one command.
func (a *agent) do(one command) error {
	switch one.Do {
	case "csr": // asks for a certificate
		return a.requestCertificate()
	case "request-uid": // asks for a new instance uid
		a.client.SetFlags(protobufs.AgentToServerFlags_AgentToServerFlags_RequestInstanceUid)
		return nil
	case "health": // reports it
		return a.client.SetHealth(health(one.Healthy, one.Error))
	case "custom": // sends a custom message
		_, err := a.client.SendCustomMessage(&protobufs.CustomMessage{
			Capability: one.Capability, Type: one.Type, Data: []byte(one.Data),
		})
		return err
	default:
		return fmt.Errorf("there is no command %q", one.Do)
	}
}

// take handles what a message of the server holds.
func (a *agent) take(ctx context.Context, message *types.MessageData) {
	if message.AgentIdentification != nil {
		a.mutex.Lock()
		a.uid = types.InstanceUid(message.AgentIdentification.NewInstanceUid)
		a.mutex.Unlock()
		emit("renamed", fields{"instance_uid": a.id(), "uuid": uuid.UUID(a.uid).String()})
	}
	if message.CustomCapabilities != nil {
		emit("custom_capabilities", fields{"names": message.CustomCapabilities.Capabilities})
	}
	if one := message.CustomMessage; one != nil {
		emit("custom", fields{"capability": one.Capability, "type": one.Type, "data": string(one.Data)})
	}
	if message.PackagesAvailable != nil {
		emit("packages", fields{"names": slices.Sorted(maps.Keys(message.PackagesAvailable.Packages))})
		if err := message.PackageSyncer.Sync(ctx); err != nil {
			emit("error", fields{"do": "packages", "error": err.Error()})
		}
	}
	if message.RemoteConfig != nil {
		a.apply(ctx, message.RemoteConfig)
	}
}

// apply takes a configuration in, and reports on it.
func (a *agent) apply(ctx context.Context, offer *protobufs.AgentRemoteConfig) {
	entries := offer.GetConfig().GetConfigMap()
	status, refusal := protobufs.RemoteConfigStatuses_RemoteConfigStatuses_APPLIED, ""
	shown := []fields{}
	for _, name := range slices.Sorted(maps.Keys(entries)) {
		entry := entries[name]
		shown = append(shown, fields{"name": name, "content_type": entry.ContentType, "body": string(entry.Body)})
		if a.given.reject != "" && bytes.Contains(entry.Body, []byte(a.given.reject)) {
			status = protobufs.RemoteConfigStatuses_RemoteConfigStatuses_FAILED
			refusal = fmt.Sprintf("%s: this program cannot use %q", name, a.given.reject)
		}
	}
	hash := hex.EncodeToString(offer.ConfigHash)
	emit("config", fields{"hash": hash, "entries": shown})
	a.mutex.Lock()
	a.status = &protobufs.RemoteConfigStatus{
		LastRemoteConfigHash: offer.ConfigHash, Status: status, ErrorMessage: refusal,
	}
	if refusal == "" {
		a.effective = entries
	}
	a.mutex.Unlock()
	if err := a.client.UpdateEffectiveConfig(ctx); err != nil {
		emit("error", fields{"do": "effective", "error": err.Error()})
	}
	if err := a.client.SetRemoteConfigStatus(a.status); err != nil {
		emit("error", fields{"do": "status", "error": err.Error()})
	}
	word := strings.TrimPrefix(status.String(), "RemoteConfigStatuses_")
	emit("status", fields{"hash": hash, "status": word, "error": refusal})
}

func health(healthy bool, problem string) *protobufs.ComponentHealth {
	return &protobufs.ComponentHealth{
		Healthy: healthy, LastError: problem, StartTimeUnixNano: uint64(time.Now().UnixNano()),
	}
}

func attributes(values pairs) []*protobufs.KeyValue {
	found := []*protobufs.KeyValue{}
	for _, name := range slices.Sorted(maps.Keys(values)) {
		text := &protobufs.AnyValue_StringValue{StringValue: values[name]}
		found = append(found, &protobufs.KeyValue{Key: name, Value: &protobufs.AnyValue{Value: text}})
	}
	return found
}

// available is the component map as a Collector reports it: kinds, and types below them.
func available(components pairs) *protobufs.AvailableComponents {
	kinds := map[string]*protobufs.ComponentDetails{}
	for name, version := range components {
		kind, kindOf, _ := strings.Cut(name, "/")
		if kinds[kind] == nil {
			kinds[kind] = &protobufs.ComponentDetails{SubComponentMap: map[string]*protobufs.ComponentDetails{}}
		}
		kinds[kind].SubComponentMap[kindOf] = &protobufs.ComponentDetails{
			Metadata: attributes(pairs{"code.namespace": version}),
		}
	}
	names := slices.Sorted(maps.Keys(components))
	for index, name := range names {
		names[index] = name + "=" + components[name]
	}
	return &protobufs.AvailableComponents{Components: kinds, Hash: digest(strings.Join(names, "\n"))}
}

// logger shows what the library complains about, such as how a connection was closed.
type logger struct{}

func (logger) Debugf(context.Context, string, ...any) {}

func (logger) Errorf(_ context.Context, format string, values ...any) {
	emit("log", fields{"text": fmt.Sprintf(format, values...)})
}
