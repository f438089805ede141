package settings

import (
	"fmt"
	"strings"

	"github.com/kvs-edge/kvs-edge-agent/internal/cloud/endpoint"
	"github.com/kvs-edge/kvs-edge-agent/internal/fragment"
	"github.com/kvs-edge/kvs-edge-agent/internal/localapi"
	"github.com/kvs-edge/kvs-edge-agent/internal/secret"
)

// Variable is an environment variable that the agent reads, as people should know it.
type Variable struct {
	Name    string
	Meaning string
	Default string // in words; empty when it must be set
	Effect  Effect // of a change
	// value returns what is in effect; nil for variables that only others read.
	value func(Settings) string
}

// Effect is when a change of a variable takes effect, in the words of the settings page.
type Effect string

// The effects.
const (
	AtReload Effect = "reload" // at once, without an effect on recordings
	// AtReloadByRecordings restarts the recordings that depend on the variable; the others continue.
	AtReloadByRecordings Effect = "reload; recordings restart"
	// AtReloadByUploads opens new sessions for uploads; the recordings continue.
	AtReloadByUploads Effect = "reload; upload sessions restart"
	AfterRestart      Effect = "restart"
)

// Group is a heading with its variables.
type Group struct {
	Title     string
	Intro     string
	Variables []Variable
}

// Variables lists everything that the agent reads from its environment.
func Variables() []Group {
	return []Group{hubVariables(), awsAgentVariables(), ownVariables(), componentVariables(), sdkVariables()}
}

// hubVariables say who the hub is.
func hubVariables() Group {
	const intro = "All of them are required, except [with Greengrass](greengrass.md), with `AWS_KVS_EDGE_CLOUD=off`, and [for cameras of " +
		"SiteWise with a token exchange service](sitewise.md#the-token-exchange-role-alone), where the region suffices. The names are " +
		"those of AWS's edge agent."
	return Group{"Who this hub is", intro, []Variable{
		{EnvRegion, "The AWS region, such as `us-west-2`.", "", AfterRestart, func(s Settings) string { return s.Region }},
		{EnvThingName, "The IoT thing of this hub.", "", AfterRestart, func(s Settings) string { return s.IoT.ThingName }},
		{EnvRoleAlias, "The IoT role alias through which the hub gets its AWS credentials.", "", AfterRestart,
			func(s Settings) string { return s.IoT.RoleAlias }},
		{EnvCredentialEndpoint, "Host of the credentials provider: `aws iot describe-endpoint --endpoint-type iot:CredentialProvider`.", "",
			AfterRestart, func(s Settings) string { return s.IoT.CredentialEndpoint }},
		{EnvDataEndpoint, "Host of MQTT: `aws iot describe-endpoint --endpoint-type iot:Data-ATS`.", "", AfterRestart,
			func(s Settings) string { return s.IoT.DataEndpoint }},
		{EnvCACert, "File with Amazon's root CA.", "", AfterRestart, func(s Settings) string { return s.IoT.CACert }},
		{EnvCoreCert, "File with the device certificate.", "", AfterRestart, func(s Settings) string { return s.IoT.Cert }},
		{EnvCorePrivateKey, "File with the device's private key; mode 0640 or less.", "", AfterRestart,
			func(s Settings) string { return s.IoT.PrivateKey }},
	}}
}

// awsAgentVariables are what AWS's edge agent reads as well.
func awsAgentVariables() Group {
	return Group{"As in AWS's edge agent", "", []Variable{
		{EnvRecordingDirectory, "Where media is kept.", "`" + defaultRecordings + "`; in the package `/var/lib/kvs-edge-agent/recordings`",
			AfterRestart, func(s Settings) string { return s.RecordingDirectory }},
		{EnvCloudWatchEnabled, "`TRUE` sends [metrics](metrics.md) to CloudWatch.", "`FALSE`", AtReload,
			func(s Settings) string { return strings.ToUpper(fmt.Sprint(s.CloudWatch)) }},
		{EnvLogLevel, "One of " + codes(LogLevels) + ". `kvs-edge-agent log-level` changes it at run time.", "`INFO`", AtReload,
			func(s Settings) string { return s.Log.Level }},
		{EnvLogOutputDirectory, "Where log files are kept; the same lines go to standard error, for the journal.", "`" + defaultLogDirectory +
			"`; in the package `/var/log/kvs-edge-agent`", AtReload, func(s Settings) string { return s.Log.Directory }},
		{EnvLogMaxFileSize, "MB after which a new log file is started; `0` for one file that grows without limit.",
			fmt.Sprintf("`%d`", defaultLogMaxFileSize), AtReload, func(s Settings) string { return fmt.Sprint(s.Log.MaxFileSizeMB) }},
		{EnvLogRolloverCount, "How many old log files are kept; at least one is.", fmt.Sprintf("`%d`", defaultLogRollover), AtReload,
			func(s Settings) string { return fmt.Sprint(s.Log.RolloverCount) }},
	}}
}

// siteWiseVariables are those about hubs that AWS IoT SiteWise configures.
func siteWiseVariables() []Variable {
	return []Variable{
		{EnvSiteWiseHub, "The id of the hub's asset in [AWS IoT SiteWise](sitewise.md), whose camera assets are recorded.", "none", AfterRestart,
			func(s Settings) string { return s.SiteWise.HubAsset }},
		{EnvSiteWiseRetention, "The retention of streams that are created for cameras of SiteWise, in hours.",
			fmt.Sprintf("`%d`", defaultStreamRetention), AfterRestart,
			func(s Settings) string { return fmt.Sprint(s.SiteWise.RetentionHours) }},
		{EnvSiteWiseTrickle, "`on`: of cameras of SiteWise of which nothing is uploaded a fragment a minute is, so that [players find live " +
			"video](sitewise.md#a-picture-for-players).", "`off`", AfterRestart, func(s Settings) string { return onOff(s.SiteWise.Trickle) }},
	}
}

// ownVariables are what only this agent reads.
func ownVariables() Group {
	return Group{"Only here", "", append([]Variable{
		{EnvStateDirectory, "Where the last good configuration is kept.", "systemd's `STATE_DIRECTORY`, else `" + defaultStateDirectory + "`",
			AfterRestart, func(s Settings) string { return s.StateDirectory }},
		{EnvStreamsDirectory, "Directory with [stream files](stream-files.md), each of which configures one camera.",
			"none; in the package `/etc/kvs-edge-agent/streams.d`", AfterRestart, func(s Settings) string { return s.StreamsDirectory }},
		{EnvCloud, "`off` makes the hub a plain recorder: it makes no call to AWS, needs no identity and no region, sends no " +
			"metrics, and records what its [stream files](stream-files.md) configure.", "`on`", AfterRestart,
			func(s Settings) string { return onOff(!s.NoCloud) }},
		{EnvMediaDirectory, "Directory of the files that `FILE_URI` configurations play; files outside of it are not read.", "`" + mediaName +
			"` in `" + EnvStateDirectory + "`", AtReloadByRecordings, func(s Settings) string { return s.MediaDirectory }},
		{EnvSocket, "Path of the local API's socket.", "`" + SocketName + "` in systemd's `RUNTIME_DIRECTORY`, else in `" + EnvStateDirectory +
			"`, else in `/run/kvs-edge-agent`, else in `" + defaultStateDirectory + "`", AfterRestart, func(s Settings) string { return s.Socket }},
		{EnvSegmentDuration, "When a recording file ends, at the next keyframe: " + minSegmentDuration.String() + " to " +
			maxSegmentDuration.String() + ".", "`5m`", AtReloadByRecordings, func(s Settings) string { return s.SegmentDuration.String() }},
		{EnvFragmentDuration, "How long [fragments](uploading.md#length-of-fragments) become, in whole GOPs: `auto`, or " +
			fragment.Min.String() + " to " + fragment.Max.String() + ". `auto` is up to 9.9 s, and for streams that are uploaded live " +
			"the first keyframe after 1 s. The stream's tag `kvs-edge:fragment` takes precedence.", "`auto`", AtReload,
			func(s Settings) string { return s.FragmentDuration.String() }},
		{EnvFlushInterval, "How much of a recording a power cut may destroy: " + minFlushInterval.String() + " to " + maxFlushInterval.String() +
			". A longer interval reduces the wear of SD cards.", "`2s`", AtReloadByRecordings,
			func(s Settings) string { return s.FlushInterval.String() }},
		{EnvMinFreeDisk, "How much of the recording disk stays free: a size such as `500MB` or `2GiB`, or a part such as `10%`.",
			"5 % or 1 GiB, the smaller", AtReload, func(s Settings) string { return s.MinFreeDisk.String() }},
		{EnvHoldMax, "How much all [holds](holds.md) together may keep from being deleted: a size such as `20GB`, or a part of the disk " +
			"such as `25%`.", "`25%`", AtReload, func(s Settings) string { return s.HoldMax.String() }},
		{EnvDeleteAfter, "What `DeleteAfterUpload` waits for: `upload` for the acknowledgement of the service, `audit` for " +
			"[an audit](audit.md#deletion-after-an-audit) that finds it in the cloud.", "`upload`", AtReload,
			func(s Settings) string { return string(s.DeleteAfter) }},
		{EnvUploadMode, "`scheduled` uploads in the windows of each configuration, `live` at once, around the clock, `on-request` only " +
			"[what somebody asks for](on-request.md).", "`scheduled`", AtReload,
			func(s Settings) string { return string(s.UploadMode) }},
		{EnvUploadMaxBitrate, "The maximum bit/s that all streams together send: `8M`; with other rates by time of day: `2M, " +
			"22:00-06:00=20M`.", "no limit", AtReload, func(s Settings) string { return s.UploadCap.String() }},
		{EnvUploadCap, "How much the hub may send to AWS and receive from there within a day or a month of a [metered line](metered-lines.md): " +
			"`1GB/day`, `30GB/month`, or `30GB/month@15` with the day of its reset.", "no cap", AtReload,
			func(s Settings) string { return s.LineCap.String() }},
		{EnvFragmentTags, "`off` uploads fragments without the [tags](uploading.md#tags) that name stream, hub and camera.", "`on`",
			AtReloadByUploads, func(s Settings) string { return onOff(!s.NoFragmentTags) }},
		{EnvMetricsAddress, "`[host]:port` that serves [Prometheus text](metrics.md); loopback unless a host is given.", "none", AtReload,
			func(s Settings) string { return s.MetricsAddress }},
		{EnvRTSPTransport, "How cameras send: `auto` (TCP, else UDP, else multicast), `tcp`, `udp`, `multicast`.", "`auto`", AtReloadByRecordings,
			func(s Settings) string { return s.Camera.Transport }},
		{EnvRTSPSCACert, "File with root CAs of the certificates of `rtsps://` cameras.", "the system's", AtReloadByRecordings,
			func(s Settings) string { return s.Camera.CACert }},
		{EnvTimestampSource, "`camera` takes the times of recordings from the cameras' sender reports, while those are within 5 s of the " +
			"hub's clock and do not jump.", "`hub`", AtReloadByRecordings, func(s Settings) string { return s.Camera.TimestampSource }},
		{EnvAudio, "`auto` records the cameras' audio and uploads AAC alone, `on` uploads G.711 too, which [prevents " +
			"playback](uploading.md#audio), `off` records no audio. A change between `auto` and `on` restarts nothing.", "`auto`",
			AtReloadByRecordings,
			func(s Settings) string { return string(s.Audio) }},
		{EnvAccountID, "The hub's AWS account, 12 digits.", "requested from STS", AfterRestart, func(s Settings) string { return s.AccountID }},
	}, append(siteWiseVariables(), webVariables()...)...)}
}

// webVariables are about the web pages.
func webVariables() []Variable {
	return []Variable{
		{EnvWebAddress, "`[host]:port` that serves the [web pages](web.md); loopback unless a host is given.", "none", AfterRestart,
			func(s Settings) string { return s.Web.Address }},
		{EnvWebCert, "File with the certificate chain of the web pages, as PEM. It is read again when it is replaced.", "on loopback plain " +
			"HTTP, elsewhere a certificate of the agent's own", AfterRestart, func(s Settings) string { return s.Web.Certificate }},
		{EnvWebKey, "File with the private key of that certificate; mode 0640 or less.", "none", AfterRestart,
			func(s Settings) string { return s.Web.Key }},
	}
}

// componentVariables apply in a component of Greengrass.
func componentVariables() Group {
	return Group{"As a Greengrass component", "What is not set above is then taken from the configuration of AWS IoT Greengrass v2: thing, " +
		"certificate, key, root CA, region, endpoints, role alias. The MQTT client id is the thing's name with `-kvs-edge`, as Greengrass " +
		"itself connects by the name. Where the key or that configuration cannot be read, or no role alias is set, the token exchange " +
		"service provides the credentials: [Greengrass](greengrass.md).", []Variable{
		{EnvGreengrassRoot, "The directory of Greengrass.", "`/greengrass/v2` in a component that Greengrass started, otherwise none",
			AfterRestart, nil},
		{EnvTokenExchange, "Where the token exchange service answers. Greengrass sets it, with a token in `" + envTokenExchangeToken +
			"`, for components that depend on `aws.greengrass.TokenExchangeService`. `" + envTokenExchangeFile + "` names a file with the token " +
			"instead. Outside of a component it is for [cameras of SiteWise](sitewise.md#the-token-exchange-role-alone) only.", "none",
			AfterRestart, nil},
	}}
}

// sdkVariables are what every AWS SDK reads.
func sdkVariables() Group {
	return Group{"As in every AWS SDK", "", []Variable{
		{EnvCABundle, "File with root CAs that replace the system's, for AWS endpoints other than IoT.", "the system's", AfterRestart,
			func(s Settings) string { return s.CABundle }},
		{EnvCertFile, "File with root CAs in addition to those of the system's directory, also for `rtsps://` cameras; `AWS_CA_BUNDLE` takes " +
			"precedence for AWS.", "the system's", AfterRestart, func(s Settings) string { return s.CertFile }},
		{endpoint.EnvFIPS, "`true` uses [FIPS endpoints](aws-setup.md#endpoints) alone: any other host that is set or answered is an " +
			"error.", "`false`, or what Greengrass or the [AWS configuration file](aws-setup.md#endpoints) says", AfterRestart,
			func(s Settings) string { return fmt.Sprint(s.Endpoints.FIPS) }},
		{endpoint.EnvDualStack, "`true` uses endpoints that answer over IPv6 too.", "`false`, or what that file says", AfterRestart,
			func(s Settings) string { return fmt.Sprint(s.Endpoints.DualStack) }},
		{endpoint.EnvURL, "Base address of all AWS services, for example of a local stand-in; `AWS_ENDPOINT_URL_KINESIS_VIDEO`, " +
			"`AWS_ENDPOINT_URL_SECRETS_MANAGER`, `AWS_ENDPOINT_URL_STS`, `AWS_ENDPOINT_URL_IOTSITEWISE` and " +
			"`AWS_ENDPOINT_URL_CLOUDWATCH` for a single service, such as its VPC endpoint.", "AWS's", AfterRestart, nil},
		{endpoint.EnvIgnoreURLs, "`true` ignores all of these addresses.", "`false`", AfterRestart,
			func(s Settings) string { return fmt.Sprint(s.Endpoints.IgnoreURLs) }},
		{"HTTPS_PROXY", "Proxy for HTTPS; MQTT goes through it too where that is possible.", "none", AfterRestart, nil},
		{"NO_PROXY", "Hosts that are reached without the proxy.", "none", AfterRestart, nil},
	}}
}

// allVariables returns the variables without their headings.
func allVariables() []Variable {
	var list []Variable
	for _, group := range Variables() {
		list = append(list, group.Variables...)
	}
	return list
}

// ourPrefix begins the names of variables that only the agent reads.
const ourPrefix = "AWS_KVS_EDGE_"

// ignored reports the variables that AWS's agent wants and this one does not.
func ignored(name string) bool {
	return name == "LD_LIBRARY_PATH" || strings.HasPrefix(name, "GST_") || strings.HasPrefix(name, "JAVA_")
}

func onOff(on bool) string {
	if on {
		return "on"
	}
	return "off"
}

func codes(words []string) string { return "`" + strings.Join(words, "`, `") + "`" }

// Table lists the settings in effect, without secrets: a proxy's password, say.
func (s Settings) Table(lookup func(string) (string, bool)) []localapi.Setting {
	var list []localapi.Setting
	for _, v := range allVariables() {
		value := ""
		if v.value != nil {
			value = v.value(s)
		} else {
			value, _ = lookup(v.Name)
		}
		list = append(list, localapi.Setting{Name: v.Name, Value: string(secret.Scrub([]byte(value))),
			Effect: string(v.Effect), Meaning: v.Meaning})
	}
	return list
}
