package main

import (
	"crypto/tls"
	"encoding/pem"
	"fmt"
	"net/http/httptest"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strconv"
	"syscall"

	"github.com/kvs-edge/kvs-edge-agent/internal/fakecam"
	"github.com/kvs-edge/kvs-edge-agent/internal/fakecam/script"
)

// subject is something that is measured.
type subject struct {
	start func(o options, dir string, urls []string) ([]*exec.Cmd, error) // makes the processes that record urls into dir
	ours  bool                                                            // its files are those of the agent
	from  kind                                                            // of cameras
}

// agent is a binary of the agent with these flags.
func agent(binary func(options) string, flags func(options) []string) subject {
	return subject{ours: true, start: func(o options, dir string, urls []string) ([]*exec.Cmd, error) {
		arguments := append([]string{"record", "--dir", dir}, flags(o)...)
		return []*exec.Cmd{exec.Command(binary(o), append(arguments, urls...)...)}, nil
	}}
}

func ours(o options) string { return o.agent }

func flags(list ...string) func(options) []string { return func(options) []string { return list } }

// kind is a kind of cameras, an argument of the server process.
type kind string

// The kinds. Over TLS a camera sends plain RTP, as most do, or encrypts it once more (SRTP).
const (
	plain   kind = ""
	overTLS kind = "tls"
	srtp    kind = "srtp"
)

// secure is the agent with such cameras.
func secure(from kind) subject {
	s := agent(ours, func(o options) []string { return []string{"--rtsps-ca-cert", o.certificate(from)} })
	s.from = from
	return s
}

var subjects = map[string]subject{
	"agent":  agent(ours, flags()),
	"beside": agent(func(o options) string { return o.beside }, flags()),
	"udp":    agent(ours, flags("--rtsp-transport", "udp")),
	"rtsps":  secure(overTLS),
	"srtp":   secure(srtp),
	"ffmpeg": {start: func(_ options, dir string, urls []string) ([]*exec.Cmd, error) {
		var commands []*exec.Cmd
		for i, url := range urls {
			commands = append(commands, exec.Command("ffmpeg", "-v", "error", "-nostdin", "-rtsp_transport", "tcp", "-i", url,
				"-c", "copy", "-f", "segment", "-segment_time", "300", "-segment_format", "matroska",
				filepath.Join(dir, fmt.Sprintf("%d-%%d.mkv", i))))
		}
		return commands, nil
	}},
	"gstreamer": {start: func(_ options, dir string, urls []string) ([]*exec.Cmd, error) {
		arguments := []string{"-q", "-e"}
		for i, url := range urls {
			arguments = append(arguments, "rtspsrc", "location="+url, "protocols=tcp", "!", "rtph264depay", "!", "h264parse", "!",
				"splitmuxsink", "muxer-factory=matroskamux", "max-size-time=300000000000",
				"location="+filepath.Join(dir, fmt.Sprintf("%d-%%d.mkv", i)))
		}
		return []*exec.Cmd{exec.Command("gst-launch-1.0", arguments...)}, nil
	}},
	"floor": {start: func(_ options, dir string, urls []string) ([]*exec.Cmd, error) {
		self, err := os.Executable()
		if err != nil {
			return nil, err
		}
		return []*exec.Cmd{exec.Command(self, append([]string{"floor", dir}, urls...)...)}, nil
	}},
}

// certificate is where the certificate of secure cameras is kept.
func (o options) certificate(of kind) string { return filepath.Join(o.dir, string(of)+".pem") }

// serve is the camera server: it prints one URL a line and serves until it is killed. Its arguments are the number of cameras, their
// bit rate, and for secure ones their kind and a path for their certificate.
func serve(arguments []string) {
	n, err := strconv.Atoi(arguments[0])
	if err != nil {
		panic(err)
	}
	bitrate, err := strconv.Atoi(arguments[1])
	if err != nil {
		panic(err)
	}
	o := fakecam.Options{Bitrate: bitrate}
	if len(arguments) > 3 {
		if o.TLS, err = certificate(arguments[3]); err != nil {
			panic(err)
		}
		if kind(arguments[2]) == overTLS { // the other server encrypts RTP too
			if o.Like, err = script.Parse("plain", []byte("A camera without oddities.\nfps: 25\n")); err != nil {
				panic(err)
			}
		}
	}
	for range n {
		camera, err := fakecam.Start(o)
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

// certificate returns one for 127.0.0.1, and writes it to path.
func certificate(path string) (*tls.Certificate, error) {
	s := httptest.NewTLSServer(nil) // it has one
	defer s.Close()
	own := s.TLS.Certificates[0]
	return &own, os.WriteFile(path, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: own.Certificate[0]}), 0o644)
}
