package main

import (
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/kvs-edge/kvs-edge-agent/internal/retention"
	"github.com/kvs-edge/kvs-edge-agent/internal/secret"
	"github.com/kvs-edge/kvs-edge-agent/internal/settings"
)

type recordOptions struct {
	dir      string
	urlFile  string
	duration time.Duration
	maxAge   time.Duration
	maxSize  string
	asJSON   bool

	settings settings.Record
	policy   retention.Policy
	cameras  []secret.String
}

// recordVariables are the settings of the agent that record has as flags too.
var recordVariables = []struct{ flag, variable, usage string }{
	{"segment-duration", settings.EnvSegmentDuration, "when a segment ends, at the next keyframe: 1s to 1h (default 5m)"},
	{"audio", settings.EnvAudio, "on, or off to record no audio (default on)"},
	{"rtsp-transport", settings.EnvRTSPTransport, "how cameras send: auto (TCP, UDP, then multicast), tcp, udp or multicast (default auto)"},
	{"rtsps-ca-cert", settings.EnvRTSPSCACert, "`file` with root CAs of the certificates of rtsps:// cameras (default: the system's)"},
	{"timestamp-source", settings.EnvTimestampSource, "whose clock times follow: hub or camera (default hub)"},
	{"min-free", settings.EnvMinFreeDisk, "how much of the disk stays free: a size such as 2GiB, or a part such as 10% " +
		"(default: 5% or 1GiB, the smaller)"},
}

// complete reads the settings and the cameras' URLs, and checks all of them.
func (o *recordOptions) complete(cmd *cobra.Command, args []string) error {
	switch {
	case o.dir == "":
		return errors.New("--dir is empty, but must name a directory")
	case o.duration < 0 || o.maxAge < 0:
		return errors.New("--duration and --max-age must not be negative")
	}
	given := map[string]string{}
	var names []string
	for _, v := range recordVariables {
		if flag := cmd.Flags().Lookup(v.flag); flag.Changed {
			given[v.variable] = flag.Value.String()
			names = append(names, v.variable, "--"+v.flag)
		}
	}
	var err error
	o.settings, err = settings.RecordFromEnv(func(name string) (string, bool) {
		if value, ok := given[name]; ok {
			return value, true
		}
		return os.LookupEnv(name)
	})
	if err != nil {
		return errors.New(strings.NewReplacer(names...).Replace(err.Error()))
	}
	o.policy = retention.Policy{MaxAge: o.maxAge, OnFull: retention.DenyNew}
	if o.maxAge > 0 || o.maxSize != "" {
		o.policy.OnFull = retention.DeleteOldest
	}
	if o.maxSize != "" {
		size, err := retention.ParseReserve(o.maxSize)
		if err != nil || size.Bytes == 0 {
			return fmt.Errorf("--max-size is %q, but must be a size such as 50GB", o.maxSize)
		}
		o.policy.MaxBytes = int64(size.Bytes)
	}
	o.cameras, err = cameraURLs(cmd.InOrStdin(), args, o.urlFile)
	return err
}
