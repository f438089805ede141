package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"syscall"
	"time"

	"github.com/kvs-edge/kvs-edge-agent/bench/proc"
	"github.com/kvs-edge/kvs-edge-agent/internal/edgeconfig"
	"github.com/kvs-edge/kvs-edge-agent/internal/fakecam"
	"github.com/kvs-edge/kvs-edge-agent/internal/fakecam/stamps"
	"github.com/kvs-edge/kvs-edge-agent/internal/localcloud"
	"github.com/kvs-edge/kvs-edge-agent/internal/localcloud/media"
)

const hub = "bench-hub"

// liveRounds of each of two binaries are added up, in turns, so that other load of the machine affects both.
const liveRounds = 3

// live measures, with the agent in live mode, how long frames take from the camera until their
// fragment is persisted; where two binaries are named, of both in turns.
func live(o options) ([]figure, error) {
	if o.beside == "" {
		d, err := liveDelays(o)
		return d.figures(o.cameras), err
	}
	var ours, others delays
	other := o
	other.agent = o.beside
	for range liveRounds {
		for _, one := range []struct {
			o   options
			sum *delays
		}{{other, &others}, {o, &ours}} {
			d, err := liveDelays(one.o)
			if err != nil {
				return nil, err
			}
			*one.sum = one.sum.and(d)
			if err := os.RemoveAll(o.dir); err != nil {
				return nil, err
			}
		}
	}
	return append(prefixed("beside", others.figures(o.cameras)), prefixed("agent", ours.figures(o.cameras))...), nil
}

// liveDelays measures one binary.
func liveDelays(o options) (all delays, err error) {
	seed := &localcloud.Seed{Things: []string{hub}}
	for i := range o.cameras {
		camera, err := fakecam.Start(fakecam.Options{})
		if err != nil {
			return all, err
		}
		defer func() { _ = camera.Close() }()
		addCamera(seed, streamName(i), camera.URL())
	}
	cloud, err := localcloud.Start(localcloud.Options{Dir: filepath.Join(o.dir, "cloud"), Seed: seed})
	if err != nil {
		return all, err
	}
	defer func() { _ = cloud.Close() }()
	stop, err := startAgent(o, cloud)
	if err != nil {
		return all, err
	}
	defer stop()

	ctx, cancel := context.WithTimeout(context.Background(), o.measure+10*time.Second)
	defer cancel()
	results := make(chan delays, o.cameras)
	for i := range o.cameras {
		go func() { results <- watchDelays(ctx, cloud.Media(), streamName(i)) }()
	}
	for range o.cameras {
		all = all.and(<-results)
	}
	if len(all.frames) == 0 {
		return all, fmt.Errorf("nothing arrived; see %s", filepath.Join(o.dir, "agent.log"))
	}
	return all, nil
}

// figures of a measurement.
func (d delays) figures(cameras int) []figure {
	if len(d.frames) == 0 {
		return nil
	}
	at := func(list []time.Duration, p float64) float64 {
		slices.Sort(list)
		return list[int(p*float64(len(list)-1))].Seconds() * 1000
	}
	beside := fmt.Sprintf("%d cameras, %d frames, fragments of %.1f s", cameras, len(d.frames), at(d.lengths, 0.5)/1000)
	return []figure{
		{What: "camera to persisted, p50 of frames", Value: at(d.frames, 0.5), Unit: "ms", Beside: beside},
		{What: "camera to persisted, p99 of frames", Value: at(d.frames, 0.99), Unit: "ms", Beside: "a fragment + 500 ms allowed"},
		{What: "last frame of a fragment to persisted, p50", Value: at(d.ends, 0.5), Unit: "ms"},
		{What: "last frame of a fragment to persisted, p99", Value: at(d.ends, 0.99), Unit: "ms"},
	}
}

// and is what two measurements found.
func (d delays) and(e delays) delays {
	return delays{append(d.frames, e.frames...), append(d.ends, e.ends...), append(d.lengths, e.lengths...)}
}

// addCamera has the hub record a camera.
func addCamera(seed *localcloud.Seed, stream, url string) {
	value, _ := json.Marshal(map[string]string{"MediaURI": url}) // never fails
	seed.Streams = append(seed.Streams, localcloud.SeedStream{Name: stream, RetentionHours: 24})
	seed.Secrets = append(seed.Secrets, localcloud.SeedSecret{Name: stream, Value: value})
	seed.EdgeConfigs = append(seed.EdgeConfigs, localcloud.SeedEdgeConfig{Stream: stream, Config: fmt.Appendf(nil,
		`{"HubDeviceArn":%q,"RecorderConfig":{"MediaSourceConfig":{`+
			`"MediaUriSecretArn":"arn:aws:secretsmanager:%s:%s:secret:%s","MediaUriType":"RTSP_URI"}}}`,
		edgeconfig.HubARN(localcloud.Region, localcloud.Account, hub), localcloud.Region, localcloud.Account, stream)})
}

// delays are what was measured of a stream.
type delays struct {
	frames  []time.Duration // from a frame's sending until its fragment is persisted
	ends    []time.Duration // the same of the last frame of each fragment
	lengths []time.Duration // of the fragments, first frame to last
}

// watchDelays notes when fragments are persisted, until ctx ends, and then reads when the camera
// sent their frames.
func watchDelays(ctx context.Context, service *media.Service, stream string) (d delays) {
	var persisted []time.Time
	for service.AwaitFragments(ctx, stream, len(persisted)+1) == nil {
		now := time.Now()
		for len(persisted) < len(service.Fragments(stream)) {
			persisted = append(persisted, now)
		}
	}
	first := make(map[int]time.Time)
	last := make(map[int]time.Time)
	for frame, err := range service.Frames(stream) {
		stamp, ok := stamps.OfAccessUnit(frame.Data)
		// The first fragments come while the agent still starts.
		if err != nil || !ok || frame.Fragment < 2 || frame.Fragment >= len(persisted) {
			continue
		}
		d.frames = append(d.frames, persisted[frame.Fragment].Sub(stamp.Sent))
		if first[frame.Fragment].IsZero() {
			first[frame.Fragment] = stamp.Sent
		}
		last[frame.Fragment] = stamp.Sent
	}
	for n, at := range last {
		d.ends = append(d.ends, persisted[n].Sub(at))
		d.lengths = append(d.lengths, at.Sub(first[n]))
	}
	return d
}

// startAgent runs the agent in live mode, unless more variables say otherwise.
func startAgent(o options, cloud *localcloud.Cloud, more ...string) (stop func(), err error) {
	log, err := os.Create(filepath.Join(o.dir, "agent.log"))
	if err != nil {
		return nil, err
	}
	cmd := exec.Command(o.agent, "run")
	cmd.Stdout, cmd.Stderr = log, log
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	cmd.Env = []string{
		"PATH=" + os.Getenv("PATH"), "AWS_EC2_METADATA_DISABLED=true", "AWS_KVS_EDGE_UPLOAD_MODE=live",
		"AWS_KVS_EDGE_RECORDING_DIRECTORY=" + filepath.Join(o.dir, "recordings"),
		"AWS_KVS_EDGE_STATE_DIRECTORY=" + filepath.Join(o.dir, "state"),
		"AWS_KVS_EDGE_LOG_OUTPUT_DIRECTORY=" + filepath.Join(o.dir, "log"),
		"AWS_KVS_EDGE_SOCKET=" + filepath.Join(o.dir, "agent.sock"),
	}
	for _, v := range cloud.AgentEnv(hub) {
		cmd.Env = append(cmd.Env, v.String())
	}
	cmd.Env = append(cmd.Env, more...)
	if err := proc.StartAsService(cmd); err != nil {
		return nil, err
	}
	return func() {
		_ = cmd.Process.Signal(syscall.SIGTERM)
		_ = cmd.Wait()
		_ = log.Close()
	}, nil
}
