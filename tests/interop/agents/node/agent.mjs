// An instrumented program's OpAMP side: the published Node.js client, wired as a distribution wires it.
//
// Runs over HTTP until SIGTERM or SIGINT. Everything that happens goes to standard output as one JSON object per
// line; `event` says what it is. A remote configuration is applied when every entry of it is JSON and no body holds
// the `--reject` text, else it is reported as failed.

import {readFileSync} from 'node:fs';
import {subscribe} from 'node:diagnostics_channel';
import {parseArgs} from 'node:util';

import {
    AgentCapabilities,
    DIAG_CH_SEND_FAIL,
    DIAG_CH_SEND_SUCCESS,
    RemoteConfigStatuses,
    createOpAMPClient,
} from '@elastic/opamp-client-node';

const emit = (event, values = {}) => console.log(JSON.stringify({event, ...values}));
const hex = (bytes) => Buffer.from(bytes).toString('hex');
const pairs = (given) => Object.fromEntries(given.map((text) => [text.split('=', 1)[0], text.slice(text.indexOf('=') + 1)]));

const {values: given} = parseArgs({
    options: {
        endpoint: {type: 'string'},
        'service-name': {type: 'string'},
        'instance-uid': {type: 'string'},
        identifying: {type: 'string', multiple: true, default: []},
        attribute: {type: 'string', multiple: true, default: []},
        header: {type: 'string', multiple: true, default: []},
        interval: {type: 'string', default: '1'}, // seconds between polls
        ca: {type: 'string'}, // file with the certificate authority of an https endpoint
        reject: {type: 'string', default: ''}, // report FAILED for a body that holds this text
    },
});

/** What is wrong with a configuration; empty: nothing. */
function judge(entries) {
    for (const {name, body} of entries) {
        if (given.reject && body.includes(given.reject)) {
            return `${name}: this program cannot use "${given.reject}"`;
        }
        try {
            JSON.parse(body);
        } catch (error) {
            return `${name}: ${error.message}`;
        }
    }
    return '';
}

function take({remoteConfig}) {
    const entries = Object.entries(remoteConfig.config?.configMap ?? {})
        .map(([name, entry]) => ({
            name,
            content_type: entry.contentType,
            body: Buffer.from(entry.body).toString(),
        }))
        .sort((one, other) => (one.name < other.name ? -1 : 1));
    const hash = hex(remoteConfig.configHash);
    emit('config', {hash, entries});
    const error = judge(entries);
    const status = error ? 'FAILED' : 'APPLIED';
    client.setRemoteConfigStatus({
        status: RemoteConfigStatuses[`RemoteConfigStatuses_${status}`],
        lastRemoteConfigHash: remoteConfig.configHash,
        errorMessage: error,
    });
    emit('status', {hash, status, error});
}

const client = createOpAMPClient({
    endpoint: given.endpoint,
    headers: pairs(given.header),
    instanceUid: given['instance-uid'],
    capabilities:
        AgentCapabilities.AgentCapabilities_AcceptsRemoteConfig | AgentCapabilities.AgentCapabilities_ReportsRemoteConfig,
    heartbeatIntervalSeconds: Number(given.interval),
    connect: given.ca ? {ca: readFileSync(given.ca)} : undefined,
    diagEnabled: true,
    onMessage: take,
});
client.setAgentDescription({
    identifyingAttributes: {'service.name': given['service-name'], ...pairs(given.identifying)},
    nonIdentifyingAttributes: pairs(given.attribute),
});

let uid = hex(client.getInstanceUid());
subscribe(DIAG_CH_SEND_SUCCESS, () => {
    emit('answered');
    const now = hex(client.getInstanceUid());
    if (now !== uid) {
        uid = now;
        emit('renamed', {instance_uid: uid});
    }
});
subscribe(DIAG_CH_SEND_FAIL, ({err, retryAfterMs}) =>
    emit('unreachable', {error: String(err.message ?? err), retry_after_ms: retryAfterMs ?? null})
);

emit('started', {instance_uid: uid});
client.start();
// The client's own timers do not keep a process alive.
const alive = setInterval(() => {}, 60_000);
for (const signal of ['SIGTERM', 'SIGINT']) {
    process.once(signal, async () => {
        clearInterval(alive);
        await client.shutdown();
        emit('stopped');
    });
}
