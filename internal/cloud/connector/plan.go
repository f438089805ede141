// Package connector makes in an account what the SiteWise connector works with: asset models, the assets of a hub and of its cameras, their
// secrets and streams. It owns what these look like, as the Greengrass component aws.iot.EdgeConnectorForKVS and AWS's video player know
// them. It must not know how a hub follows them.
package connector

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"regexp"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/kvs-edge/kvs-edge-agent/internal/arn"
	"github.com/kvs-edge/kvs-edge-agent/internal/camera/address"
	"github.com/kvs-edge/kvs-edge-agent/internal/health"
	"github.com/kvs-edge/kvs-edge-agent/internal/jsonfault"
	"github.com/kvs-edge/kvs-edge-agent/internal/kvslimit"
	"github.com/kvs-edge/kvs-edge-agent/internal/scheduler"
	"github.com/kvs-edge/kvs-edge-agent/internal/secret"
)

const (
	maxPlan    = 1 << 20 // bytes
	maxCameras = 1000
	maxName    = 256 // characters of the name of an asset
	maxMinutes = 10 * 366 * 24 * 60
	// defaultRetention is how long a new stream keeps media, in hours: what the component's script takes.
	defaultRetention = 168
	maxRetention     = 87600
	never            = "-"
	always           = "* * * * *"
)

// Plan is what is to exist, as a file says it.
type Plan struct {
	// Hub is the name of the hub's asset. Required.
	Hub string `json:"hub"`
	// Workspace of TwinMaker whose player may ask for video. Default: none may.
	Workspace string `json:"workspace"`
	// RetentionHours is how long new streams keep media in the cloud. Default: 168.
	RetentionHours *int     `json:"streamRetentionHours"`
	Cameras        []Camera `json:"cameras"`
}

// Camera is one of the hub. What is left out keeps the value that its asset has, or that of the model.
type Camera struct {
	Name   string `json:"name"`   // of the asset. Required.
	Stream string `json:"stream"` // Required.
	// URL of the camera, which a secret is made for, or Secret, the ARN of one that exists.
	URL              secret.String `json:"-"`
	Secret           string        `json:"secretArn"`
	RetentionMinutes *int          `json:"retentionMinutes"` // on the hub
	CaptureStart     *string       `json:"captureStart"`
	CaptureMinutes   *int          `json:"captureMinutes"`
	LiveStart        *string       `json:"liveStart"`
	LiveMinutes      *int          `json:"liveMinutes"`
}

// UnmarshalJSON reads a camera, and keeps its URL secret.
func (c *Camera) UnmarshalJSON(text []byte) error {
	type plain Camera
	var read struct {
		*plain
		URL string `json:"url"`
	}
	read.plain = (*plain)(c)
	if err := strict(bytes.NewReader(text), &read); err != nil {
		return err
	}
	c.URL = secret.New(read.URL)
	return nil
}

// strict reads one JSON value without members that are not known.
func strict(r io.Reader, into any) error {
	d := json.NewDecoder(r)
	d.DisallowUnknownFields()
	if err := d.Decode(into); err != nil {
		return err
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return errMore
	}
	return nil
}

// errMore says that there is more than one JSON value.
var errMore = errors.New("something follows its end")

var (
	streamName = regexp.MustCompile(kvslimit.StreamName)
	// workspaceID is what TwinMaker takes as the id of a workspace.
	workspaceID = regexp.MustCompile(`^[a-zA-Z_0-9][a-zA-Z_\-0-9]{0,126}[a-zA-Z0-9]$`)
	control     = regexp.MustCompile(`[\x00-\x1F\x7F]`)
)

// ReadPlan reads and checks a plan. Its errors are clauses for people and show no URL of a camera.
func ReadPlan(r io.Reader) (p Plan, err error) {
	text, err := io.ReadAll(io.LimitReader(r, maxPlan+1))
	if err != nil {
		return p, err
	}
	if len(text) > maxPlan {
		return p, fmt.Errorf("it has more than %d bytes", maxPlan)
	}
	if err := strict(bytes.NewReader(text), &p); errors.Is(err, errMore) {
		return p, err
	} else if err != nil {
		return p, errors.New(jsonfault.Of(err))
	}
	if p.RetentionHours == nil {
		p.RetentionHours = new(int)
		*p.RetentionHours = defaultRetention
	}
	return p, p.check()
}

func (p Plan) check() error {
	if err := nameFault(p.Hub); err != nil {
		return fmt.Errorf("hub %w", err)
	}
	switch {
	case p.Workspace != "" && !workspaceID.MatchString(p.Workspace):
		return fmt.Errorf("workspace is %q, but must be the id of a workspace: letters, digits, _ and -", health.Clean(p.Workspace, maxShown))
	case *p.RetentionHours < 0 || *p.RetentionHours > maxRetention:
		return fmt.Errorf("streamRetentionHours is %d, but must be 0 to %d", *p.RetentionHours, maxRetention)
	case len(p.Cameras) == 0:
		return errors.New("cameras has none")
	case len(p.Cameras) > maxCameras:
		return fmt.Errorf("cameras has %d, but must have at most %d", len(p.Cameras), maxCameras)
	}
	names, streams := map[string]bool{}, map[string]bool{}
	for i, c := range p.Cameras {
		err := c.check()
		switch {
		case err != nil:
		case names[c.Name]:
			err = fmt.Errorf("name is %q, as that of another camera", health.Clean(c.Name, maxShown))
		case streams[c.Stream]:
			err = fmt.Errorf("stream is %q, as that of another camera", c.Stream)
		}
		if err != nil {
			return fmt.Errorf("camera %d: %w", i+1, err)
		}
		names[c.Name], streams[c.Stream] = true, true
	}
	return nil
}

// maxShown bounds what is shown of a value, in characters.
const maxShown = 80

// nameFault says what is wrong with the name of an asset.
func nameFault(name string) error {
	switch n := utf8.RuneCountInString(name); {
	case n == 0:
		return errors.New("has no name")
	case n > maxName || !utf8.ValidString(name) || control.MatchString(name) || strings.TrimSpace(name) != name:
		return fmt.Errorf("has a name that an asset cannot have: 1 to %d characters on one line, without spaces around it", maxName)
	}
	return nil
}

func (c Camera) check() error {
	if err := nameFault(c.Name); err != nil {
		return err
	}
	if !streamName.MatchString(c.Stream) {
		return fmt.Errorf("stream is %q, but must be the name of a stream: 1 to 256 letters, digits, _, . and -",
			health.Clean(c.Stream, maxShown))
	}
	switch url := c.URL.Reveal(); {
	case (url == "") == (c.Secret == ""):
		return errors.New("it must have either url or secretArn")
	case url != "":
		if _, err := address.Parse(c.URL); err != nil {
			return errors.New("url is not the URL of a camera, such as rtsp://user:password@192.168.1.20/stream1")
		}
	default:
		if a, ok := arn.Parse(c.Secret); !ok || a.Service != "secretsmanager" {
			return errors.New("secretArn is not the ARN of a secret")
		}
	}
	for _, m := range []struct {
		name string
		n    *int
	}{{"retentionMinutes", c.RetentionMinutes}, {"captureMinutes", c.CaptureMinutes}, {"liveMinutes", c.LiveMinutes}} {
		if m.n != nil && (*m.n < 0 || *m.n > maxMinutes) {
			return fmt.Errorf("%s is %d, but must be 0 to %d", m.name, *m.n, maxMinutes)
		}
	}
	if err := startFault(c.CaptureStart); err != nil {
		return fmt.Errorf("captureStart %w", err)
	}
	if err := startFault(c.LiveStart); err != nil {
		return fmt.Errorf("liveStart %w", err)
	}
	return nil
}

// startFault says what is wrong with the start of windows.
func startFault(start *string) error {
	if start == nil || *start == never || *start == always {
		return nil
	}
	if _, err := scheduler.Parse("0 "+*start, time.UTC); err != nil || *start == "" {
		return fmt.Errorf("is %q, but must be - for never, * * * * * for always, or minute, hour, day of the month, month and day of the "+
			"week, such as 0 8 ? * MON-FRI", health.Clean(*start, maxShown))
	}
	return nil
}
