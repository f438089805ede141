package main

import (
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strconv"
	"syscall"

	"github.com/kvs-edge/kvs-edge-agent/internal/fakecam"
)

// starter makes the processes of a subject that records urls into dir.
type starter func(o options, dir string, urls []string) ([]*exec.Cmd, error)

var subjects = map[string]starter{
	"agent": func(o options, dir string, urls []string) ([]*exec.Cmd, error) {
		return []*exec.Cmd{exec.Command(o.agent, append([]string{"record", "--dir", dir}, urls...)...)}, nil
	},
	"ffmpeg": func(_ options, dir string, urls []string) ([]*exec.Cmd, error) {
		var commands []*exec.Cmd
		for i, url := range urls {
			commands = append(commands, exec.Command("ffmpeg", "-v", "error", "-nostdin", "-rtsp_transport", "tcp", "-i", url,
				"-c", "copy", "-f", "segment", "-segment_time", "300", "-segment_format", "matroska",
				filepath.Join(dir, fmt.Sprintf("%d-%%d.mkv", i))))
		}
		return commands, nil
	},
	"gstreamer": func(_ options, dir string, urls []string) ([]*exec.Cmd, error) {
		arguments := []string{"-q", "-e"}
		for i, url := range urls {
			arguments = append(arguments, "rtspsrc", "location="+url, "protocols=tcp", "!", "rtph264depay", "!", "h264parse", "!",
				"splitmuxsink", "muxer-factory=matroskamux", "max-size-time=300000000000",
				"location="+filepath.Join(dir, fmt.Sprintf("%d-%%d.mkv", i)))
		}
		return []*exec.Cmd{exec.Command("gst-launch-1.0", arguments...)}, nil
	},
	"floor": func(_ options, dir string, urls []string) ([]*exec.Cmd, error) {
		self, err := os.Executable()
		if err != nil {
			return nil, err
		}
		return []*exec.Cmd{exec.Command(self, append([]string{"floor", dir}, urls...)...)}, nil
	},
}

// serve is the camera server: it prints one URL a line and serves until it is killed.
func serve(arguments []string) {
	n, err := strconv.Atoi(arguments[0])
	if err != nil {
		panic(err)
	}
	bitrate, err := strconv.Atoi(arguments[1])
	if err != nil {
		panic(err)
	}
	for range n {
		camera, err := fakecam.Start(fakecam.Options{Bitrate: bitrate})
		if err != nil {
			fmt.Fprintln(os.Stderr, "recording:", err)
			os.Exit(1)
		}
		fmt.Println(camera.URL())
	}
	wait := make(chan os.Signal, 1)
	signal.Notify(wait, syscall.SIGINT, syscall.SIGTERM)
	<-wait
}
