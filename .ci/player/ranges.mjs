// Prints what AWS's own video player finds of a camera, as JSON: { uploaded: [{start, end, src}], edge: [{start, end}] }, times in
// ms since 1970. It runs the player's logic (VideoDataImpl of @iot-app-kit/source-iottwinmaker), in the order in which the player
// calls it, against the endpoint of the local cloud.
//
//   node ranges.mjs WORKSPACE ENTITY COMPONENT FROM TO
//
// FROM and TO are times as Date reads them. The variables are those that localcloud prints for its user, and NODE_EXTRA_CA_CERTS
// with the path in AWS_CA_BUNDLE.
import { createRequire } from 'node:module';

const require = createRequire(import.meta.url);
const { VideoDataImpl } = require('@iot-app-kit/source-iottwinmaker/dist/cjs/video-data/VideoData.js');
// Each package has the version of the SDK that the player has.
const ofPlayer = createRequire(require.resolve('@iot-app-kit/source-iottwinmaker'));
const client = (name, kind) => {
  const { AWS_ENDPOINT_URL: endpoint, AWS_REGION: region, AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY } = process.env;
  return new (ofPlayer(name)[kind])({
    endpoint, region, disableHostPrefix: true, maxAttempts: 1,
    credentials: { accessKeyId: AWS_ACCESS_KEY_ID, secretAccessKey: AWS_SECRET_ACCESS_KEY },
  });
};

const [workspaceId, entityId, componentName, from, to] = process.argv.slice(2);
if (!to) {
  console.error('usage: node ranges.mjs WORKSPACE ENTITY COMPONENT FROM TO');
  process.exit(2);
}
const start = new Date(from);
const end = new Date(to);
const video = new VideoDataImpl({
  workspaceId, entityId, componentName,
  kinesisVideoClient: client('@aws-sdk/client-kinesis-video', 'KinesisVideoClient'),
  kinesisVideoArchivedMediaClient: client('@aws-sdk/client-kinesis-video-archived-media', 'KinesisVideoArchivedMediaClient'),
  siteWiseClient: client('@aws-sdk/client-iotsitewise', 'IoTSiteWiseClient'),
  twinMakerClient: client('@aws-sdk/client-iottwinmaker', 'IoTTwinMakerClient'),
});
try {
  // The player first asks for the whole view, and goes on without when there is no video at all.
  await video.getKvsStreamSrc('ON_DEMAND', start, end);
} catch (e) {
  if (e.name !== 'ResourceNotFoundException') throw e;
}
const [uploaded, edge] = (await video.getAvailableTimeRanges(start, end)) ?? [[], []];
console.log(JSON.stringify({ uploaded, edge }));
