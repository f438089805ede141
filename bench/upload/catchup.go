package main

import (
	"context"
	"fmt"
	"os/exec"
	"path/filepath"
	"syscall"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/kvs-edge/kvs-edge-agent/bench/proc"
	"github.com/kvs-edge/kvs-edge-agent/internal/localcloud"
)

// What the service takes of a stream (limits, PutMedia).
const (
	allowedFragments = 5.0    // a second
	allowedBytes     = 12.5e6 // a second
)

// warmUp fragments of each stream are not measured where the backlog does not say otherwise: connections are set
// up, and buckets full.
const warmUp = 20

// allowed is how many fragments a second the service takes of a stream: whichever limit binds.
func (b backlog) allowed() float64 { return min(allowedFragments, allowedBytes/float64(b.size)) }

// catchUp uploads a backlog and measures how fast, and whether each fragment came once.
func catchUp(dir string, b backlog) ([]figure, error) {
	if b.fragments < 5*b.warm {
		return nil, fmt.Errorf("%d fragments of each stream are too few to be measured; at least %d", b.fragments, 5*b.warm)
	}
	recordings := filepath.Join(dir, "recordings")
	if err := b.fill(recordings); err != nil {
		return nil, err
	}
	cloud, err := startCloud(filepath.Join(dir, "cloud"), b.streams)
	if err != nil {
		return nil, err
	}
	defer func() { _ = cloud.Close() }()
	cmd, err := drainer(cloud, recordings, b.streams, audioPlayable)
	if err != nil {
		return nil, err
	}
	cloudBefore := cpuOfThis()
	speeds, process, err := b.drain(cloud, cmd)
	if err != nil {
		return nil, err
	}
	cloudCPU := cpuOfThis() - cloudBefore
	var all, least, most speed
	least = speed{b.allowed(), b.allowed()}
	for _, s := range speeds {
		all.whole, all.end = all.whole+s.whole, all.end+s.end
		least.whole, least.end = min(least.whole, s.whole), min(least.end, s.end)
		most.whole, most.end = max(most.whole, s.whole), max(most.end, s.end)
	}
	throttled := time.Duration(0)
	var found census
	for i := range b.streams {
		throttled += cloud.Media().Stats(streamName(i)).Throttled
		found = found.plus(b.count(cloud, i))
	}
	total := b.allowed() * float64(b.streams)
	return []figure{
		{What: "fragments per second", Value: all.whole, Unit: "/s", Beside: fmt.Sprintf("%d streams, %d fragments each; %.4g allowed",
			b.streams, b.fragments, total)},
		{What: "share of the allowed rate", Value: 100 * all.whole / total, Unit: "%", Beside: "95 % wanted"},
		{What: "share of the slowest stream", Value: 100 * least.whole / b.allowed(), Unit: "%"},
		{What: "fastest stream to the slowest", Value: most.whole / least.whole, Unit: "×"},
		{What: perSecond, Value: all.whole * float64(b.size) / 1e6, Unit: "MB/s"},
		{What: "share in the last tenth", Value: 100 * all.end / total, Unit: "%"},
		{What: "held back by the service", Value: throttled.Seconds(), Unit: "s"},
		{What: "sent twice", Value: float64(found.repeated), Unit: "fragments"},
		{What: "missing", Value: float64(found.missing), Unit: "fragments"},
		{What: "peak memory", Value: float64(process.rss) / 1e6, Unit: "MB", Beside: fmt.Sprintf("%d streams", b.streams)},
		{What: "CPU", Value: process.cpu.Seconds(), Unit: "s", Beside: fmt.Sprintf("in %.0f s; %.3f ms a fragment; the local cloud %.1f s",
			process.wall.Seconds(), process.cpu.Seconds()*1000/float64(b.streams*b.fragments), cloudCPU.Seconds())},
	}, nil
}

// drain runs the uploader until all has come, and measures each stream.
func (b backlog) drain(cloud *localcloud.Cloud, cmd *exec.Cmd) (speeds []speed, process spent, err error) {
	ideal := time.Duration(float64(b.fragments) / b.allowed() * float64(time.Second))
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute+3*ideal)
	defer cancel()
	var group errgroup.Group
	group.Go(func() (err error) {
		process, err = measured(cmd, proc.StartAsService)
		if err != nil {
			cancel()
		}
		return err
	})
	speeds = make([]speed, b.streams)
	for i := range b.streams {
		group.Go(func() (err error) {
			speeds[i], err = b.watch(ctx, cloud, i)
			return err
		})
	}
	err = group.Wait()
	return speeds, process, err
}

// speed of a stream in fragments per second: from the end of the warm-up on, and in the last tenth.
type speed struct{ whole, end float64 }

// watch waits for all fragments of a stream.
func (b backlog) watch(ctx context.Context, cloud *localcloud.Cloud, stream int) (s speed, err error) {
	marks := []int{b.warm, b.fragments - b.fragments/10, b.fragments}
	var at []time.Time
	for _, n := range marks {
		if err := cloud.Media().AwaitFragments(ctx, streamName(stream), n); err != nil {
			return s, err
		}
		at = append(at, time.Now())
	}
	between := func(i, j int) float64 { return float64(marks[j]-marks[i]) / at[j].Sub(at[i]).Seconds() }
	return speed{whole: between(0, 2), end: between(1, 2)}, nil
}

// census is how often the fragments of a backlog came, where that was not once.
type census struct{ missing, repeated int }

func (c census) plus(d census) census {
	return census{c.missing + d.missing, c.repeated + d.repeated}
}

// count compares what was recorded of a stream with what came.
func (b backlog) count(cloud *localcloud.Cloud, stream int) (c census) {
	came := make(map[int64]bool, b.fragments)
	for _, f := range cloud.Media().Fragments(streamName(stream)) {
		at := f.Producer.UnixMilli()
		if came[at] {
			c.repeated++
		}
		came[at] = true
	}
	for n := range b.fragments {
		if !came[b.at(n).UnixMilli()] {
			c.missing++
		}
	}
	return c
}

// cpuOfThis is the processor time of this process so far.
func cpuOfThis() time.Duration {
	var u syscall.Rusage
	if syscall.Getrusage(syscall.RUSAGE_SELF, &u) != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
