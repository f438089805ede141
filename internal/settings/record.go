package settings

import (
	"crypto/x509"
	"slices"
	"time"

	"github.com/kvs-edge/kvs-edge-agent/internal/camera"
	"github.com/kvs-edge/kvs-edge-agent/internal/fragment"
	"github.com/kvs-edge/kvs-edge-agent/internal/hold"
	"github.com/kvs-edge/kvs-edge-agent/internal/recorder"
	"github.com/kvs-edge/kvs-edge-agent/internal/retention"
)

// Record are the settings that a recording depends on, whatever is done with it.
type Record struct {
	// Audio is which sound of cameras is recorded and uploaded.
	Audio AudioMode
	// SegmentDuration is when a segment file ends, at the next keyframe.
	SegmentDuration time.Duration
	// FragmentDuration is how long fragments become, where a stream has no length of its own.
	FragmentDuration fragment.Length
	// FlushInterval is how much of a recording a power cut may take.
	FlushInterval time.Duration
	// MinFreeDisk is what must stay free of the recording disk.
	MinFreeDisk retention.Reserve
	// HoldMax is how much all holds may have together.
	HoldMax hold.Max
	Camera  Camera
}

// Camera say how cameras are talked to.
type Camera struct {
	Transport string // camera.TransportAuto, TransportTCP, TransportUDP or TransportMulticast
	NoAudio   bool   // cameras' audio is not recorded
	// TimestampSource is recorder.TimestampHub or TimestampCamera.
	TimestampSource string
	CACert          string         // file: roots that sign the certificates of rtsps:// cameras; "": the system's
	Roots           *x509.CertPool // those of CACert
}

// RecordFromEnv reads them alone. The error is a *Error that names every fault.
func RecordFromEnv(lookup func(string) (string, bool)) (Record, error) {
	e := environment{lookup: lookup}
	s := e.recordSettings()
	if len(e.faults) > 0 {
		slices.Sort(e.faults)
		return Record{}, &Error{Faults: e.faults}
	}
	return s, nil
}

func (e *environment) recordSettings() Record {
	s := Record{
		SegmentDuration:  e.duration(EnvSegmentDuration, defaultSegmentDuration, minSegmentDuration, maxSegmentDuration),
		FragmentDuration: e.fragment(EnvFragmentDuration),
		FlushInterval:    e.duration(EnvFlushInterval, defaultFlushInterval, minFlushInterval, maxFlushInterval),
		MinFreeDisk:      e.reserve(EnvMinFreeDisk),
		HoldMax:          e.holdMax(EnvHoldMax),
		Audio:            AudioMode(e.oneOf(EnvAudio, string(AudioAuto), string(AudioOn), string(AudioOff))),
		Camera: Camera{
			Transport: e.oneOf(EnvRTSPTransport, camera.TransportAuto, camera.TransportTCP, camera.TransportUDP,
				camera.TransportMulticast),
			CACert: e.optional(EnvRTSPSCACert, ""),

			TimestampSource: e.oneOf(EnvTimestampSource, recorder.TimestampHub, recorder.TimestampCamera),
		},
	}
	s.Camera.NoAudio = s.Audio == AudioOff
	s.Camera.Roots = e.roots(EnvRTSPSCACert, s.Camera.CACert)
	return s
}
