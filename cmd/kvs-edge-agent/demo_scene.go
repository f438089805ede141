package main

import (
	"fmt"
	"io"
	"time"

	"github.com/kvs-edge/kvs-edge-agent/internal/fakecam"
	"github.com/kvs-edge/kvs-edge-agent/internal/localcloud"
	"github.com/kvs-edge/kvs-edge-agent/internal/localcloud/integrator"
)

type demoOptions struct {
	camera   string
	dir      string
	duration time.Duration
	keep     bool
	listen   loopback
	region   string
	// streamFile configures the agent by a file, with a cloud that lets the hub do nothing but upload.
	streamFile bool
	// noCloud leaves even that out.
	noCloud bool
}

// demo is the stage: cloud, camera, agent.
type demo struct {
	options demoOptions
	out     io.Writer
	dir     string
	cloud   *localcloud.Cloud
	calls   *callCounter    // of the cloud
	camera  *fakecam.Camera // nil with a camera of the user's
	agent   *agentProcess
	user    *integrator.Integrator
	began   time.Time
	scratch bool // dir is removed at the end
}

func (d *demo) say(format string, args ...any) {
	fmt.Fprintf(d.out, "%5.1fs  %s\n", time.Since(d.began).Seconds(), fmt.Sprintf(format, args...))
}

const (
	demoStream    = "demo-camera"
	demoThing     = "demo-hub"
	demoRetention = 24 // hours
	// demoSegment makes several files in half a minute.
	demoSegment = 10 * time.Second
	// demoSettle bounds the wait for the last fragments after the camera stopped.
	demoSettle = 20 * time.Second
)

const (
	// settlePoll is how often the count is taken while the last fragments arrive.
	settlePoll = 250 * time.Millisecond
	// settleSay is how often it is said that they are waited for.
	settleSay = 5 * time.Second
)
