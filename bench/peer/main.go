// Peer is a minimal OpAMP server on opamp-go, the reference implementation, to measure gitsync side by side with.
//
// It has the duties that the comparison is about and no others: it keeps the state of each agent in memory, selects a
// configuration by three label rules, answers every message, offers a configuration to an agent that does not run
// what is wanted, counts APPLIED, and pushes a new configuration to all agents from 16 goroutines that share one
// AgentRemoteConfig. It stores nothing.
//
// Commands are JSON lines on stdin, each answered by one JSON line on stdout:
//
//	{"cmd":"push","file":PATH}  makes the file's content the wanted configuration of all rules and sends it to all
//	{"cmd":"counts"}            agents, messages, statuses
package main

import (
	"bufio"
	"context"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"flag"
	"fmt"
	"net/http"
	"os"
	"runtime"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"time"

	"github.com/open-telemetry/opamp-go/protobufs"
	"github.com/open-telemetry/opamp-go/server"
	"github.com/open-telemetry/opamp-go/server/types"
)

const senders = 16

type command struct {
	Cmd  string `json:"cmd"`
	File string `json:"file"`
}

func main() {
	listen := flag.String("listen", "127.0.0.1:0", "HOST:PORT")
	cert := flag.String("cert", "", "certificate of the server, PEM; with it TLS 1.3 is spoken")
	key := flag.String("key", "", "its private key, PEM")
	ca := flag.String("client-ca", "", "authorities that certificates of agents must come from, PEM")
	flag.Parse()
	settings, err := tlsConfig(*cert, *key, *ca)
	if err == nil {
		err = run(*listen, settings)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(listen string, tlsSettings *tls.Config) error {
	fleet := &fleet{agents: map[string]*agent{}}
	srv := server.New(nil)
	connection := types.ConnectionCallbacks{OnMessage: fleet.onMessage, OnConnectionClose: fleet.onClose}
	err := srv.Start(server.StartSettings{
		Settings: server.Settings{Callbacks: types.Callbacks{
			OnConnecting: func(*http.Request) types.ConnectionResponse {
				return types.ConnectionResponse{Accept: true, ConnectionCallbacks: connection}
			},
		}},
		ListenEndpoint: listen,
		TLSConfig:      tlsSettings,
	})
	if err != nil {
		return err
	}
	out := json.NewEncoder(os.Stdout)
	out.Encode(map[string]any{"address": srv.Addr().String(), "go": runtime.Version(), "opamp_go": moduleVersion()})
	lines := bufio.NewScanner(os.Stdin)
	for lines.Scan() {
		var one command
		if err := json.Unmarshal(lines.Bytes(), &one); err != nil {
			return err
		}
		switch one.Cmd {
		case "push":
			body, err := os.ReadFile(one.File)
			if err != nil {
				return err
			}
			out.Encode(fleet.push(body))
		case "counts":
			out.Encode(fleet.counts())
		default:
			return fmt.Errorf("unknown command %q", one.Cmd)
		}
	}
	return srv.Stop(context.Background())
}

func tlsConfig(cert, key, ca string) (*tls.Config, error) {
	if cert == "" {
		return nil, nil
	}
	pair, err := tls.LoadX509KeyPair(cert, key)
	if err != nil {
		return nil, err
	}
	settings := &tls.Config{MinVersion: tls.VersionTLS13, Certificates: []tls.Certificate{pair}}
	if ca != "" {
		pem, err := os.ReadFile(ca)
		if err != nil {
			return nil, err
		}
		settings.ClientCAs = x509.NewCertPool()
		settings.ClientCAs.AppendCertsFromPEM(pem)
		settings.ClientAuth = tls.RequireAndVerifyClientCert
	}
	return settings, nil
}

func moduleVersion() string {
	if info, ok := debug.ReadBuildInfo(); ok {
		for _, one := range info.Deps {
			if one.Path == "github.com/open-telemetry/opamp-go" {
				return one.Version
			}
		}
	}
	return "unknown"
}

// rule is a selector of labels: all of them must be there.
type rule struct {
	labels map[string]string
	name   string
}

var rules = []rule{
	{map[string]string{"role": "gateway"}, "gateways"},
	{map[string]string{"role": "agent", "deployment.environment.name": "staging"}, "agents-staging"},
	{map[string]string{"role": "agent"}, "agents"},
}

type agent struct {
	mu       sync.Mutex
	conn     types.Connection
	labels   map[string]string
	config   string
	caps     uint64
	sequence uint64
	healthy  bool
	hash     string
	status   protobufs.RemoteConfigStatuses
	lastSeen time.Time
}

type fleet struct {
	mu       sync.RWMutex
	agents   map[string]*agent
	wanted   *protobufs.AgentRemoteConfig
	byConn   sync.Map
	messages atomic.Int64
	applying atomic.Int64
	applied  atomic.Int64
	failed   atomic.Int64
}

const serverCapabilities = uint64(protobufs.ServerCapabilities_ServerCapabilities_AcceptsStatus |
	protobufs.ServerCapabilities_ServerCapabilities_OffersRemoteConfig)

func (f *fleet) onMessage(_ context.Context, conn types.Connection, message *protobufs.AgentToServer) *protobufs.ServerToAgent {
	f.messages.Add(1)
	uid := string(message.InstanceUid)
	one, wanted := f.find(uid, conn)
	one.mu.Lock()
	defer one.mu.Unlock()
	if one.conn != conn {
		one.conn = conn
		f.byConn.Store(conn, one)
	}
	reply := &protobufs.ServerToAgent{InstanceUid: message.InstanceUid, Capabilities: serverCapabilities}
	if message.SequenceNum != one.sequence+1 && message.AgentDescription == nil {
		reply.Flags = uint64(protobufs.ServerToAgentFlags_ServerToAgentFlags_ReportFullState)
	}
	one.sequence, one.caps, one.lastSeen = message.SequenceNum, message.Capabilities, time.Now()
	if message.AgentDescription != nil {
		one.labels = labels(message.AgentDescription)
		one.config = choose(one.labels)
	}
	if message.Health != nil {
		one.healthy = message.Health.Healthy
	}
	if message.RemoteConfigStatus != nil {
		f.take(one, message.RemoteConfigStatus)
	}
	accepts := one.caps&uint64(protobufs.AgentCapabilities_AgentCapabilities_AcceptsRemoteConfig) != 0
	if message.AgentDescription != nil && wanted != nil && accepts && one.config != "" && one.hash != string(wanted.ConfigHash) {
		reply.RemoteConfig = wanted
	}
	return reply
}

func (f *fleet) find(uid string, conn types.Connection) (*agent, *protobufs.AgentRemoteConfig) {
	f.mu.RLock()
	one, wanted := f.agents[uid], f.wanted
	f.mu.RUnlock()
	if one != nil {
		return one, wanted
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if one = f.agents[uid]; one == nil {
		one = &agent{}
		f.agents[uid] = one
	}
	return one, f.wanted
}

func (f *fleet) take(one *agent, status *protobufs.RemoteConfigStatus) {
	one.hash, one.status = string(status.LastRemoteConfigHash), status.Status
	switch status.Status {
	case protobufs.RemoteConfigStatuses_RemoteConfigStatuses_APPLYING:
		f.applying.Add(1)
	case protobufs.RemoteConfigStatuses_RemoteConfigStatuses_APPLIED:
		f.applied.Add(1)
	case protobufs.RemoteConfigStatuses_RemoteConfigStatuses_FAILED:
		f.failed.Add(1)
	}
}

func (f *fleet) onClose(conn types.Connection) {
	found, ok := f.byConn.LoadAndDelete(conn)
	if !ok {
		return
	}
	one := found.(*agent)
	one.mu.Lock()
	if one.conn == conn {
		one.conn = nil
	}
	one.mu.Unlock()
}

func labels(description *protobufs.AgentDescription) map[string]string {
	found := make(map[string]string, len(description.IdentifyingAttributes)+len(description.NonIdentifyingAttributes))
	for _, one := range description.IdentifyingAttributes {
		found[one.Key] = one.Value.GetStringValue()
	}
	for _, one := range description.NonIdentifyingAttributes {
		found[one.Key] = one.Value.GetStringValue()
	}
	return found
}

func choose(labels map[string]string) string {
	for _, one := range rules {
		matches := true
		for key, value := range one.labels {
			if labels[key] != value {
				matches = false
			}
		}
		if matches {
			return one.name
		}
	}
	return ""
}

func (f *fleet) push(body []byte) map[string]any {
	sum := sha256.Sum256(body)
	config := &protobufs.AgentRemoteConfig{
		Config: &protobufs.AgentConfigMap{ConfigMap: map[string]*protobufs.AgentConfigObject{
			"collector.yaml": {Body: body, ContentType: "text/yaml"},
		}},
		ConfigHash: sum[:],
	}
	began := time.Now()
	f.mu.Lock()
	f.wanted = config
	all := make(map[string]*agent, len(f.agents))
	for uid, one := range f.agents {
		all[uid] = one
	}
	f.mu.Unlock()
	type job struct {
		uid string
		one *agent
	}
	jobs := make(chan job, senders)
	var done sync.WaitGroup
	var sent, failed atomic.Int64
	for range senders {
		done.Add(1)
		go func() {
			defer done.Done()
			for next := range jobs {
				next.one.mu.Lock()
				conn, wants := next.one.conn, next.one.config != ""
				next.one.mu.Unlock()
				if conn == nil || !wants {
					continue
				}
				message := &protobufs.ServerToAgent{InstanceUid: []byte(next.uid), RemoteConfig: config}
				if err := conn.Send(context.Background(), message); err != nil {
					failed.Add(1)
				} else {
					sent.Add(1)
				}
			}
		}()
	}
	for uid, one := range all {
		jobs <- job{uid, one}
	}
	close(jobs)
	done.Wait()
	return map[string]any{"at": began.UnixNano(), "done": time.Now().UnixNano(), "sent": sent.Load(), "failed": failed.Load()}
}

func (f *fleet) counts() map[string]any {
	f.mu.RLock()
	defer f.mu.RUnlock()
	connected := 0
	for _, one := range f.agents {
		one.mu.Lock()
		if one.conn != nil {
			connected++
		}
		one.mu.Unlock()
	}
	return map[string]any{
		"agents": len(f.agents), "connected": connected, "messages": f.messages.Load(),
		"applying": f.applying.Load(), "applied": f.applied.Load(), "failed": f.failed.Load(),
	}
}
