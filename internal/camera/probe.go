package camera

import (
	"context"

	"github.com/kvs-edge/kvs-edge-agent/internal/accessunit"
	"github.com/kvs-edge/kvs-edge-agent/internal/secret"
)

// Probe plays a camera until a few keyframes have arrived, for accessunit.ProbeMost at most. An error is a
// *health.Fault or ctx's. It uses the options Transport, Roots and Limits.
func Probe(ctx context.Context, url secret.String, o Options) (accessunit.ProbeResult, error) {
	at, err := parseEndpoint(url)
	if err != nil {
		return accessunit.ProbeResult{}, err
	}
	o = o.withDefaults().of(at)
	o.NoAudio = true
	probing, stop := context.WithTimeout(ctx, accessunit.ProbeMost)
	defer stop()
	sink := accessunit.NewProbeSink(stop)
	known := new(memory)
	for range o.transports() {
		err = clientConfig{Options: o, endpoint: at, memory: known}.playOverAny(probing, sink)
		if probing.Err() != nil || !wrongTransport(err, int64(sink.Frames())) {
			break
		}
		known.transport = o.next(known.transport)
	}
	switch {
	case ctx.Err() != nil:
		return accessunit.ProbeResult{}, ctx.Err()
	case sink.Panic() != nil:
		return accessunit.ProbeResult{}, accessunit.InternalFault(at.host, sink.Panic())
	case probing.Err() == nil: // the session ended by itself
		return accessunit.ProbeResult{}, faultOf(at.host, err)
	case sink.Keyframes() == 0:
		return accessunit.ProbeResult{}, faultOf(at.host, errNoKeyframe)
	}
	return sink.Result(at.host), nil
}
