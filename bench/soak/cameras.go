package main

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"net"
	"os"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/kvs-edge/kvs-edge-agent/internal/backoff"
	"github.com/kvs-edge/kvs-edge-agent/internal/edgeconfig"
	"github.com/kvs-edge/kvs-edge-agent/internal/fakecam"
	"github.com/kvs-edge/kvs-edge-agent/internal/localcloud/integrator"
)

// camera is a camera with its stream.
type camera struct {
	*fakecam.Camera
	stream   string
	fps      float64
	h265     bool
	udp      bool // whose packets the network may lose
	storm    bool // its stream is configured repeatedly
	goes     bool // and deleted, with its media
	partly   bool // only what somebody asks for is uploaded
	tags     map[string]string
	deletion edgeconfig.DeletionConfig
	upload   edgeconfig.ScheduleConfig

	mu     sync.Mutex // one thing at a time happens to it
	secret string     // ARN of its secret
	purged time.Time  // until when its configuration, and all media with it, may have been deleted last; the zero time = never
	media  account    // that is in the cloud
}

// always is a window without end: of a minute, each minute.
var always = edgeconfig.ScheduleConfig{ScheduleExpression: "0 * * * * ? *", DurationInSeconds: 60}

// startCameras starts the cameras. They are small, so that hours of them fit on a disk.
func (s *soak) startCameras() error {
	certificate, err := s.cameraCertificate()
	if err != nil {
		return err
	}
	keepFor := func(hours, megabytes int, deleteUploaded bool) (c edgeconfig.DeletionConfig) {
		c.EdgeRetentionInHours, c.DeleteAfterUpload = &hours, &deleteUploaded
		if megabytes > 0 {
			c.LocalSizeConfig = &edgeconfig.LocalSizeConfig{MaxLocalMediaSizeInMB: &megabytes, StrategyOnFullSize: edgeconfig.DeleteOldestMedia}
		}
		return c
	}
	refuseTCP := fakecam.Oddities{Refuse: func(udp bool) bool { return !udp }}
	for _, c := range []struct {
		one     *camera
		options fakecam.Options
	}{
		{&camera{stream: "door", deletion: keepFor(24, 0, true)}, fakecam.Options{Audio: fakecam.AudioAAC}},
		{&camera{stream: "yard", deletion: keepFor(24, 64, false)}, fakecam.Options{User: "admin", Pass: "of the yard"}},
		{&camera{stream: "gate", deletion: keepFor(24, 0, true), udp: true, tags: map[string]string{"kvs-edge:upload": "live"}},
			fakecam.Options{Audio: fakecam.AudioMuLaw, Oddities: refuseTCP}},
		{&camera{stream: "hall", deletion: keepFor(1, 0, false)},
			fakecam.Options{NoUDP: true, Oddities: fakecam.Oddities{TLS: certificate}}},
		{&camera{stream: "lobby", deletion: keepFor(24, 0, true),
			upload: edgeconfig.ScheduleConfig{ScheduleExpression: "0 0/10 * * * ? *", DurationInSeconds: 300}},
			fakecam.Options{H265: true, Audio: fakecam.AudioAAC}},
		{&camera{stream: "lane", deletion: keepFor(1, 0, false), partly: true, tags: map[string]string{"kvs-edge:upload": "on-request"}},
			fakecam.Options{FPS: 5}},
		{&camera{stream: "storm-1", deletion: keepFor(24, 0, true), storm: true, goes: true}, fakecam.Options{FPS: 5}},
		{&camera{stream: "storm-2", deletion: keepFor(24, 0, true), storm: true, goes: true}, fakecam.Options{FPS: 5, NearWrap: true}},
		{&camera{stream: "storm-3", deletion: keepFor(24, 0, true), storm: true}, fakecam.Options{FPS: 5, H265: true}},
	} {
		one := c.one
		if c.options.FPS == 0 {
			c.options.FPS = 10
		}
		one.fps, one.h265 = c.options.FPS, c.options.H265
		if one.upload.ScheduleExpression == "" {
			one.upload = always
		}
		if one.Camera, err = fakecam.Start(c.options); err != nil {
			return err
		}
		s.cameras = append(s.cameras, one)
	}
	return nil
}

// cameraCertificate makes the certificate of the camera with TLS, and writes it where the agent trusts it.
func (s *soak) cameraCertificate() (*tls.Certificate, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(time.Now().UnixNano()), Subject: pkix.Name{CommonName: "camera"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().AddDate(1, 0, 0),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, IsCA: true, BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		return nil, err
	}
	text := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
	return &tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, os.WriteFile(s.path("camera.pem"), text, 0o644)
}

// configuration of the camera's stream.
func (s *soak) configuration(c *camera) edgeconfig.EdgeConfig {
	source := edgeconfig.MediaSourceConfig{MediaUriSecretArn: c.secret, MediaUriType: edgeconfig.RTSP}
	return edgeconfig.EdgeConfig{
		HubDeviceArn:   s.cloud.HubARN(thing),
		RecorderConfig: edgeconfig.RecorderConfig{MediaSourceConfig: source},
		UploaderConfig: &edgeconfig.UploaderConfig{ScheduleConfig: &c.upload},
		DeletionConfig: &c.deletion,
	}
}

// configureAll makes the streams of all cameras, and configures each.
func (s *soak) configureAll(ctx context.Context) error {
	return s.eachCamera(ctx, func(ctx context.Context, c *camera) error {
		if err := s.prepare(ctx, c); err != nil {
			return err
		}
		return s.configure(ctx, c.stream, s.configuration(c))
	})
}

// eachCamera does something for all cameras at once.
func (s *soak) eachCamera(ctx context.Context, do func(context.Context, *camera) error) error {
	group, ctx := errgroup.WithContext(ctx)
	for _, c := range s.cameras {
		group.Go(func() error {
			if err := do(ctx, c); err != nil {
				return fmt.Errorf("%s: %w", c.stream, err)
			}
			return nil
		})
	}
	return group.Wait()
}

// prepare makes the stream of a camera and its secret.
func (s *soak) prepare(ctx context.Context, c *camera) (err error) {
	const cloudRetention = 24 // hours
	if c.secret, err = s.cloud.PutSecret(c.stream, fmt.Sprintf(`{"MediaURI":%q}`, c.URL())); err != nil {
		return err
	}
	if _, err := s.cloud.CreateStream(c.stream, cloudRetention); err != nil || c.tags == nil {
		return err
	}
	return s.user.Tag(ctx, c.stream, c.tags)
}

// configure sends a configuration, once the hub has acknowledged the previous one.
func (s *soak) configure(ctx context.Context, stream string, config edgeconfig.EdgeConfig) error {
	const patience, poll = 3 * time.Minute, 500 * time.Millisecond
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	for {
		err := s.user.Configure(ctx, stream, config)
		if !errors.Is(err, integrator.ErrInUse) || backoff.Sleep(ctx, poll) != nil {
			return err
		}
	}
}
