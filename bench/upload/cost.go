package main

import (
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"os/exec"
	"path/filepath"
	"strconv"
	"sync"
)

// costStreams share the bytes, so that the rate of one stream is not what is measured.
const costStreams = 4

// cost measures what sending takes beside curl, which sends the same files over TLS and does
// nothing else.
func cost(o options) ([]figure, error) {
	const size = 2_000_000 // of a fragment: 8 Mbit/s
	recordings := filepath.Join(o.dir, "recordings")
	if err := newBacklog(costStreams, max(1, o.megabytes*1_000_000/size/costStreams), size, usualGOP).fill(recordings); err != nil {
		return nil, err
	}
	files, err := filepath.Glob(filepath.Join(recordings, "*", "*.mkv"))
	if err != nil {
		return nil, err
	}
	sink := httptest.NewUnstartedServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { _, _ = io.Copy(io.Discard, r.Body) }))
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
	curl, err := measured(exec.Command("curl", curlArgs(sink.URL, files)...))
	if err != nil {
		return nil, fmt.Errorf("curl: %w", err)
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
		{What: "CPU of curl -T without a limit", Value: perGB(curl), Unit: "s/GB", Beside: fmt.Sprintf("in %.1f s", curl.wall.Seconds())},
		{What: "ours to curl at the same rate", Value: perGB(ours) / perGB(paced), Unit: "×", Beside: "1.5 allowed"},
		{What: "ours to curl without a limit", Value: perGB(ours) / perGB(curl), Unit: "×"},
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
