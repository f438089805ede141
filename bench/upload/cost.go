package main

import (
	"crypto/tls"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"sync"
	"sync/atomic"
)

// costStreams share the bytes, so that the rate of one stream is not what is measured.
const costStreams = 4

// costFragment is a fragment's size in bytes: that of a camera with 8 Mbit/s.
const costFragment = 2_000_000

// curlRuns of curl without a limit are put together: one is over before its time can be told.
const curlRuns = 3

// cost measures what sending takes beside curl, which sends the same files over TLS and does
// nothing else. All of them speak to a Go server with TLS as it is by default, and agree on the
// same cipher; only that of ours looks into what comes and stores it, curl's throws it away. Each
// counts whole processes, ours with the set-up of the SDK, the index of the recordings and the notes
// of what is done. What is compared is curl without a limit, which never waits. The others wait as
// the service demands, and show what that costs.
func cost(o options) ([]figure, error) {
	const size = costFragment
	recordings := filepath.Join(o.dir, "recordings")
	if err := newBacklog(costStreams, max(1, o.megabytes*1_000_000/size/costStreams), size, usualGOP).fill(recordings); err != nil {
		return nil, err
	}
	files, err := filepath.Glob(filepath.Join(recordings, "*", "*.mkv"))
	if err != nil {
		return nil, err
	}
	var cipher atomic.Uint32
	sink := httptest.NewUnstartedServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		cipher.Store(uint32(r.TLS.CipherSuite))
		_, _ = io.Copy(io.Discard, r.Body)
	}))
	sink.Config.ErrorLog = log.New(io.Discard, "", 0)
	sink.StartTLS()
	defer sink.Close()
	// The files of each stream in a curl of their own, no faster than the service would let them.
	var paced spent
	paceds := make(chan error, costStreams)
	var mu sync.Mutex
	for i := range costStreams {
		one, err := filepath.Glob(filepath.Join(recordings, streamName(i), "*.mkv"))
		if err != nil {
			return nil, err
		}
		go func() {
			s, err := measured(exec.Command("curl", curlArgs(sink.URL, one, "--limit-rate", strconv.Itoa(allowedBytes))...))
			mu.Lock()
			defer mu.Unlock()
			paced.cpu, paced.wall, paced.rss = paced.cpu+s.cpu, max(paced.wall, s.wall), paced.rss+s.rss
			paceds <- err
		}()
	}
	for range costStreams {
		if err := <-paceds; err != nil {
			return nil, fmt.Errorf("curl: %w", err)
		}
	}
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	args := []string{"bare", sink.URL}
	for i := range costStreams {
		args = append(args, filepath.Join(recordings, streamName(i)))
	}
	least, err := measured(exec.Command(self, args...))
	if err != nil {
		return nil, err
	}
	leastCipher := tls.CipherSuiteName(uint16(cipher.Load()))
	var curl spent
	for range curlRuns {
		s, err := measured(exec.Command("curl", curlArgs(sink.URL, files)...))
		if err != nil {
			return nil, fmt.Errorf("curl: %w", err)
		}
		curl.cpu, curl.wall = curl.cpu+s.cpu/curlRuns, curl.wall+s.wall/curlRuns
	}
	cloud, err := startCloud(filepath.Join(o.dir, "cloud"), costStreams)
	if err != nil {
		return nil, err
	}
	defer func() { _ = cloud.Close() }()
	cmd, err := drainer(cloud, recordings, costStreams)
	if err != nil {
		return nil, err
	}
	ours, err := measured(cmd)
	if err != nil {
		return nil, err
	}
	sent := int64(0)
	for i := range costStreams {
		sent += cloud.Media().Stats(streamName(i)).Bytes
	}
	perGB := func(s spent) float64 { return s.cpu.Seconds() / (float64(sent) / 1e9) }
	return []figure{
		{What: "CPU of ours", Value: perGB(ours), Unit: "s/GB", Beside: fmt.Sprintf("%.2f GB over %d streams in %.1f s", float64(sent)/1e9, costStreams, ours.wall.Seconds())},
		{What: "CPU of curl -T at the same rate", Value: perGB(paced), Unit: "s/GB", Beside: fmt.Sprintf("%d processes in %.1f s", costStreams, paced.wall.Seconds())},
		{What: "CPU of curl -T without a limit", Value: perGB(curl), Unit: "s/GB", Beside: fmt.Sprintf("%s, %d times, in %.1f s", tls.CipherSuiteName(uint16(cipher.Load())), curlRuns, curl.wall.Seconds())},
		{What: "CPU of a bare loop at the same rate", Value: perGB(least), Unit: "s/GB", Beside: fmt.Sprintf("%s, in %.1f s", leastCipher, least.wall.Seconds())},
		{What: "ours to curl at the same rate", Value: perGB(ours) / perGB(paced), Unit: "×"},
		{What: "ours to curl without a limit", Value: perGB(ours) / perGB(curl), Unit: "×", Beside: "1.3 allowed"},
		{What: "ours to a bare loop at the same rate", Value: perGB(ours) / perGB(least), Unit: "×"},
		{What: "bare loop to curl without a limit", Value: perGB(least) / perGB(curl), Unit: "×", Beside: "what the pace alone costs"},
		{What: "peak memory of ours", Value: float64(ours.rss) / 1e6, Unit: "MB", Beside: fmt.Sprintf("%d streams", costStreams)},
		{What: "peak memory of curl", Value: float64(paced.rss) / 1e6, Unit: "MB", Beside: fmt.Sprintf("%d processes", costStreams)},
	}, nil
}

func curlArgs(url string, files []string, more ...string) []string {
	args := append([]string{"--silent", "--show-error", "--fail", "--insecure", "--http1.1", "--header", "Expect:"}, more...)
	for _, file := range files {
		args = append(args, "--upload-file", file, url+"/")
	}
	return args
}
