package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/kvs-edge/kvs-edge-agent/internal/edgeconfig"
	"github.com/kvs-edge/kvs-edge-agent/internal/evidence"
	"github.com/kvs-edge/kvs-edge-agent/internal/evidence/collect"
	"github.com/kvs-edge/kvs-edge-agent/internal/hubclock"
	"github.com/kvs-edge/kvs-edge-agent/internal/localapi"
	"github.com/kvs-edge/kvs-edge-agent/internal/settings"
)

// evidenceFormat is that of an archive of evidence.
var evidenceFormat = exportFormat{name: "zip", file: exportEvidence}

// checkEvidence refuses what an archive of evidence cannot be.
func checkEvidence(name, format string) error {
	switch {
	case format != "":
		return &exitError{exitSettings, errors.New("evidence has a format of its own: leave out --format")}
	case toStandardOutput(name):
		return &exitError{exitSettings, errors.New("evidence is written to a file, in which a part is written last: name one, such as out.zip")}
	case !strings.EqualFold(filepath.Ext(name), ".zip"):
		return &exitError{exitSettings, errors.New("evidence is a zip archive: name the file .zip")}
	}
	return nil
}

// exportEvidence writes an archive of evidence, and reads it again: recordings may be deleted while they are exported.
func exportEvidence(
	ctx context.Context, r recordings, file *os.File, progress func(done, total int64),
) (m localapi.Media, err error) {
	made, err := r.evidence(ctx)
	if err != nil {
		return m, err
	}
	archive, err := evidence.NewArchive(file, evidence.Signed{
		Manifest: made.Manifest, Signature: made.Signature, Certificate: made.Certificate,
	})
	if err != nil {
		return m, err
	}
	m, err = r.Media(ctx, localapi.Span{Stream: r.span.Stream, From: made.From, To: made.To}, archive.Media(), progress)
	if err != nil {
		return m, err
	}
	const changed = "recordings of stream %s were deleted while they were exported: export again (%w)"
	m.Bytes, err = archive.Finish(ctx)
	if errors.Is(err, evidence.ErrShort) {
		return m, fmt.Errorf(changed, r.span.Stream, err)
	}
	if err != nil {
		return m, err
	}
	verdict, err := evidence.Verify(ctx, file, m.Bytes, evidence.Trust{}, nil)
	var wrong *evidence.Fault
	if errors.As(err, &wrong) {
		return m, fmt.Errorf(changed, r.span.Stream, err)
	}
	m.Changed = markedIn(verdict.Manifest, m.Changed)
	return m, err
}

// markedIn lists what a manifest marks as damaged, as the export of the media names it, or, where the running agent is of a version that
// does not, without the file.
func markedIn(m evidence.Manifest, exported []localapi.LostMedia) (list []localapi.LostMedia) {
	if len(exported) > 0 {
		return exported
	}
	const most = 100
	for _, f := range m.Fragments {
		if f.Damaged && len(list) < most {
			list = append(list, localapi.LostMedia{From: f.From, To: f.To, Path: "a recording of stream " + m.Stream})
		}
	}
	return list
}

func damagedFragments(m evidence.Manifest) (n int) {
	for _, f := range m.Fragments {
		if f.Damaged {
			n++
		}
	}
	return n
}

// evidence makes evidence of the span: the agent that has the recordings and the key does, or else this command with the key, if this
// user can read it.
func (r recordings) evidence(ctx context.Context) (localapi.Evidence, error) {
	if r.store == nil {
		return r.Client.Evidence(ctx, r.span)
	}
	_ = useServiceSettings(serviceSettings) // without it those of this shell apply
	identity := settings.IoT{Cert: os.Getenv(settings.EnvCoreCert), PrivateKey: os.Getenv(settings.EnvCorePrivateKey)}
	hub := collect.Hub{Thing: os.Getenv(settings.EnvThingName), Version: version, Clock: hubclock.New(hubclock.Options{}),
		Certificate: identity.Signing}
	if account, region := os.Getenv(settings.EnvAccountID), os.Getenv(settings.EnvRegion); account != "" && region != "" {
		hub.ARN = edgeconfig.HubARN(region, account, hub.Thing)
	}
	made, err := collect.Make(ctx, r.store, hub, r.span.Stream, r.span.From, r.span.To)
	return localapi.Evidence{From: made.From, To: made.To, Manifest: made.Manifest, Signature: made.Signature,
		Certificate: made.Certificate}, err
}
