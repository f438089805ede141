package main

import (
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"sync/atomic"

	"golang.org/x/sync/errgroup"

	"github.com/kvs-edge/kvs-edge-agent/bench/proc"
)

// costStreams share the bytes, so that the rate of one stream is not what is measured.
const costStreams = 16

// costFragment is a fragment's size in bytes: that of a camera with 8 Mbit/s.
const costFragment = 2_000_000

// costRounds of the agent and of curl without a limit, in turns, are added up, so that other load of the
// machine affects both.
const costRounds = 3

// curlRuns of curl without a limit make up its part of a round: one is over before its time can be measured.
const curlRuns = 3

// cost measures what sending takes beside curl, which sends the same files over TLS and does
// nothing else. All of them speak to a Go server with TLS as it is by default, and agree on the
// same cipher; only the agent's server parses and stores the media, curl's discards it. Each figure
// is of whole processes, the agent's with the set-up of the SDK, the index of the recordings and the notes
// of the progress. The comparison is with curl without a limit, which never waits. The others wait as
// the service requires, and show the cost of that.
func cost(o options) ([]figure, error) {
	s := startSink()
	defer s.Close()
	var ours, curl, paced, least spent
	sent, leastCipher := int64(0), ""
	for round := range costRounds {
		recordings := filepath.Join(o.dir, "recordings")
		if err := newBacklog(costStreams, max(1, o.megabytes*1_000_000/costFragment/costStreams), costFragment,
			usualGOP).fill(recordings); err != nil {
			return nil, err
		}
		if round == 0 {
			var err error
			if paced, err = pacedCurl(s.URL, recordings); err != nil {
				return nil, err
			}
			if least, err = bareLoop(s.URL, recordings); err != nil {
				return nil, err
			}
			leastCipher = s.cipher()
		}
		once, err := unlimitedCurl(s.URL, recordings)
		if err != nil {
			return nil, err
		}
		curl = curl.and(once)
		once, bytes, err := drained(filepath.Join(o.dir, "cloud"), recordings, audioPlayable)
		if err != nil {
			return nil, err
		}
		ours, sent = ours.and(once), bytes
		if err := os.RemoveAll(o.dir); err != nil {
			return nil, err
		}
	}
	gigabytes := float64(sent) / 1e9
	perGB := func(s spent, rounds float64) float64 { return s.cpu.Seconds() / gigabytes / rounds }
	oursPerGB, curlPerGB := perGB(ours, costRounds), perGB(curl, costRounds*curlRuns)
	return []figure{
		{What: "CPU of the agent", Value: oursPerGB, Unit: "s/GB", Beside: fmt.Sprintf("%.2f GB over %d streams, %d times, in %.1f s", gigabytes,
			costStreams, costRounds, ours.wall.Seconds())},
		{What: "CPU of curl -T at the same rate", Value: perGB(paced, 1), Unit: "s/GB",
			Beside: fmt.Sprintf("%d processes in %.1f s", costStreams, paced.wall.Seconds())},
		{What: "CPU of curl -T without a limit", Value: curlPerGB, Unit: "s/GB",
			Beside: fmt.Sprintf("%s, %d times, in %.1f s", s.cipher(), costRounds*curlRuns, curl.wall.Seconds())},
		{What: "CPU of a bare loop at the same rate", Value: perGB(least, 1), Unit: "s/GB",
			Beside: fmt.Sprintf("%s, in %.1f s", leastCipher, least.wall.Seconds())},
		{What: "ours to curl at the same rate", Value: oursPerGB / perGB(paced, 1), Unit: "×"},
		{What: "ours to curl without a limit", Value: oursPerGB / curlPerGB, Unit: "×", Beside: "1.3 allowed"},
		{What: "ours to a bare loop at the same rate", Value: oursPerGB / perGB(least, 1), Unit: "×"},
		{What: "bare loop to curl without a limit", Value: perGB(least, 1) / curlPerGB, Unit: "×", Beside: "what the pace alone costs"},
		{What: "peak memory of the agent", Value: float64(ours.rss) / 1e6, Unit: "MB", Beside: fmt.Sprintf("%d streams", costStreams)},
		{What: "peak memory of curl", Value: float64(paced.rss) / 1e6, Unit: "MB", Beside: fmt.Sprintf("%d processes", costStreams)},
	}, nil
}

// and is what one took after the other.
func (s spent) and(other spent) spent {
	return spent{wall: s.wall + other.wall, cpu: s.cpu + other.cpu, rss: max(s.rss, other.rss)}
}

// sink is an HTTPS server that throws away what it is sent.
type sink struct {
	*httptest.Server
	suite atomic.Uint32 // of the last request
}

func startSink() *sink {
	s := &sink{}
	s.Server = httptest.NewUnstartedServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		s.suite.Store(uint32(r.TLS.CipherSuite))
		_, _ = io.Copy(io.Discard, r.Body)
	}))
	s.Config.ErrorLog = log.New(io.Discard, "", 0)
	s.StartTLS()
	return s
}

func (s *sink) cipher() string { return tls.CipherSuiteName(uint16(s.suite.Load())) }

// pacedCurl sends the files of each stream by a curl of its own, no faster than the service would
// let them. The memory is that of all of them.
func pacedCurl(url, recordings string) (sum spent, err error) {
	var group errgroup.Group
	var each [costStreams]spent
	for i := range each {
		files, err := filepath.Glob(filepath.Join(recordings, streamName(i), "*.mkv"))
		if err != nil {
			return sum, err
		}
		group.Go(func() (err error) {
			each[i], err = measured(exec.Command("curl", curlArgs(url, files, "--limit-rate", strconv.Itoa(allowedBytes))...), (*exec.Cmd).Start)
			return err
		})
	}
	if err := group.Wait(); err != nil {
		return sum, fmt.Errorf("curl: %w", err)
	}
	for _, one := range each {
		sum = spent{wall: max(sum.wall, one.wall), cpu: sum.cpu + one.cpu, rss: sum.rss + one.rss}
	}
	return sum, nil
}

// bareLoop is this program's own, see bare.
func bareLoop(url, recordings string) (spent, error) {
	self, err := os.Executable()
	if err != nil {
		return spent{}, err
	}
	args := []string{"bare", url}
	for i := range costStreams {
		args = append(args, filepath.Join(recordings, streamName(i)))
	}
	return measured(exec.Command(self, args...), proc.StartAsService)
}

// unlimitedCurl sends all files by one curl, curlRuns times.
func unlimitedCurl(url, recordings string) (sum spent, err error) {
	files, err := filepath.Glob(filepath.Join(recordings, "*", "*.mkv"))
	if err != nil {
		return sum, err
	}
	for range curlRuns {
		once, err := measured(exec.Command("curl", curlArgs(url, files)...), (*exec.Cmd).Start)
		if err != nil {
			return sum, fmt.Errorf("curl: %w", err)
		}
		sum = sum.and(once)
	}
	return sum, nil
}

// drained sends the files as the agent does, to a local cloud in dir, and returns how many bytes that were.
func drained(dir, recordings, audio string) (s spent, bytes int64, err error) {
	cloud, err := startCloud(dir, costStreams)
	if err != nil {
		return s, 0, err
	}
	defer func() { err = errors.Join(err, cloud.Close()) }()
	cmd, err := drainer(cloud, recordings, costStreams, audio)
	if err != nil {
		return s, 0, err
	}
	if s, err = measured(cmd, proc.StartAsService); err != nil {
		return s, 0, err
	}
	for i := range costStreams {
		bytes += cloud.Media().Stats(streamName(i)).Bytes
	}
	return s, bytes, nil
}

func curlArgs(url string, files []string, more ...string) []string {
	args := append([]string{"--silent", "--show-error", "--fail", "--insecure", "--http1.1", "--header", "Expect:"}, more...)
	for _, file := range files {
		args = append(args, "--upload-file", file, url+"/")
	}
	return args
}
