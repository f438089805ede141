package preflight

import (
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"slices"
	"sort"
	"strings"
	"time"

	"github.com/kvs-edge/kvs-edge-agent/internal/camera/address"
	"github.com/kvs-edge/kvs-edge-agent/internal/desired"
	"github.com/kvs-edge/kvs-edge-agent/internal/desired/edgestream"
	"github.com/kvs-edge/kvs-edge-agent/internal/edgeconfig"
	"github.com/kvs-edge/kvs-edge-agent/internal/health"
	"github.com/kvs-edge/kvs-edge-agent/internal/humanize"
	"github.com/kvs-edge/kvs-edge-agent/internal/kvsconfig"
	"github.com/kvs-edge/kvs-edge-agent/internal/settings"
	"github.com/kvs-edge/kvs-edge-agent/internal/streamfile"
)

// checkStreamFiles reads the stream files, and returns what those want that are right.
func (c *checker) checkStreamFiles() (wanted []wantedStream) {
	const check = "stream files"
	dir := c.settings.StreamsDirectory
	if dir == "" {
		return nil
	}
	list, err := streamfile.Check(dir, c.settings.IoT.ThingName, c.settings.NoCloud)
	switch {
	case errors.Is(err, fs.ErrNotExist) && !c.settings.NoCloud:
		c.good(check, "There are none: "+dir+" does not exist.")
		return nil
	case err != nil:
		c.bad(check, fmt.Sprintf("%s cannot be read (%s): create it, readable for the agent's group, or correct %s.", dir, health.Reason(err),
			settings.EnvStreamsDirectory))
		return nil
	}
	for _, f := range list {
		if f.Wrong != "" {
			c.bad(check, fmt.Sprintf("%s in %s is wrong: %s.", f.File, dir, strings.TrimSuffix(f.Wrong, ".")))
			continue
		}
		wanted = append(wanted, wantedStream{
			Stream: f.Stream, file: filepath.Join(dir, f.File), namesAge: f.Stream.Keep.MaxAge < edgeconfig.DefaultRetentionHours*time.Hour,
		})
	}
	text := fmt.Sprintf("%s in %s.", humanize.Count(len(wanted), "stream file"), dir)
	for _, f := range list {
		if f.Note != "" {
			text += fmt.Sprintf(" %s: %s has no effect, as %s is off.", f.File, f.Note, settings.EnvCloud)
		}
	}
	c.good(check, text)
	return wanted
}

// wantedStream is what a source wants, or why that is not followed.
type wantedStream struct {
	desired.Stream
	err      error
	file     string // that wants it; empty: the cloud does
	namesAge bool   // it says how long media is kept
}

// place is where the URL of its media is written.
func (w wantedStream) place() address.Place {
	if w.Media.URL.Empty() {
		return address.Place{}
	}
	return address.InFile(w.file)
}

// wantedOf joins what files and the control plane want, by name. A file decides.
func wantedOf(files []wantedStream, list []kvsconfig.ListedConfig) []wantedStream {
	all := slices.Clone(files)
	for _, l := range list {
		if strings.HasPrefix(l.SyncStatus, "DELET") ||
			slices.ContainsFunc(files, func(w wantedStream) bool { return w.Name == l.StreamName }) {
			continue
		}
		var w wantedStream
		w.Stream, w.err = edgestream.Of(l.StreamConfig, desired.KVS)
		w.Name, w.Media = l.StreamName, edgestream.MediaOf(l.Config.RecorderConfig.MediaSourceConfig)
		w.namesAge = l.Config.DeletionConfig != nil && l.Config.DeletionConfig.EdgeRetentionInHours != nil
		all = append(all, w)
	}
	sort.Slice(all, func(i, j int) bool { return all[i].Name < all[j].Name })
	return all
}
