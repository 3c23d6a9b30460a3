import { duration, number, plural } from '../ui/format';
import { Curve } from './Curve';
import { Folded, Found } from './Found';
import { Frame } from './Frame';
import { Bar, Card, Counts, Pill, Tile } from './parts';
import type { BackplaneStatus, LaneStatus, ServerStatus } from './status';
import { stateOfLane, stateOfServer } from './tone';
import type { Watched } from './watch';

export function ServerPage({ watched }: { watched: Watched<ServerStatus> }) {
  const { status } = watched;
  const [messages = [], deliveries = []] = watched.rates;
  return (
    <Frame role="Application server" watched={watched} state={stateOfServer(status)}>
      {status && (
        <>
          <div className="tiles">
            <Tile label="Connections" value={status.connections} note={`of ${number(status.connectionsMax)} at most`}>
              <Bar value={status.connections} max={status.connectionsMax} />
            </Tile>
            <Tile label="Messages / s" value={perSecond(messages)} note={`${number(status.totals.messages)} in all`}>
              <Curve values={messages} />
            </Tile>
            <Tile
              label="Deliveries / s"
              value={perSecond(deliveries)}
              note={`${number(status.totals.deliveries)} in all`}
            >
              <Curve values={deliveries} />
            </Tile>
          </div>
          <div className="columns">
            <div className="stack">
              <Card title="Totals" aside="since the start">
                <Counts
                  counts={[
                    ['Accepted', status.totals.accepted],
                    ['Writes', status.totals.writes],
                    ['Turns', status.totals.turns],
                    ['Errors', status.totals.errors],
                    ['Closed as too slow', status.totals.closed_slow],
                  ]}
                />
              </Card>
              <Rooms status={status} />
            </div>
            <div className="stack">
              <Backplane backplane={status.backplane} />
              <Lanes lanes={status.backplane.lanes} />
              <Card title="Reactors" aside="connections of each">
                <Folded className="bars">
                  {status.reactors.map(({ connections }, index) => (
                    <li key={index}>
                      <Bar value={connections} max={status.connections}>
                        <span className="bar-value">{number(connections)}</span>
                      </Bar>
                    </li>
                  ))}
                </Folded>
              </Card>
            </div>
          </div>
        </>
      )}
    </Frame>
  );
}

function Rooms({ status: { rooms, roomsTotal } }: { status: ServerStatus }) {
  return (
    <Card title="Rooms" aside={plural(roomsTotal, 'room')}>
      {roomsTotal === 0 && <p className="nothing">Nobody is here yet.</p>}
      <Found
        items={rooms}
        nameOf={({ room }) => room}
        total={roomsTotal}
        one="room"
        order="those with the most users first"
      >
        {(shown) => (
          <table className="rooms">
            <thead>
              <tr>
                <th scope="col">Room</th>
                <th scope="col">Users</th>
                <th scope="col">Here</th>
                <th scope="col">Messages</th>
              </tr>
            </thead>
            <tbody>
              {shown.map(({ room, users, membersHere, messages }) => (
                <tr key={room}>
                  <th scope="row">
                    <bdi>{room}</bdi>
                  </th>
                  <td>{number(users)}</td>
                  <td>{number(membersHere)}</td>
                  <td>{number(messages)}</td>
                </tr>
              ))}
            </tbody>
          </table>
        )}
      </Found>
    </Card>
  );
}

/** Servers that are down come first, so that none of them is folded away behind those that are up. */
function Backplane({ backplane: { kind, ready, peers } }: Pick<ServerStatus, 'backplane'>) {
  const ordered = [...peers.filter(({ up }) => !up), ...peers.filter(({ up }) => up)];
  const up = peers.filter((peer) => peer.up).length;
  return (
    <Card title="Backplane" aside={peers.length > 0 ? `${kind}, ${up} of ${plural(peers.length, 'peer')} up` : kind}>
      <Folded className="peers">
        {[
          <li key="">
            <span>This server</span>
            <Pill tone={ready ? 'good' : 'bad'} label={ready ? 'ready' : 'not ready'} />
          </li>,
          ...ordered.map(({ name, up }) => (
            <li key={name}>
              <span className="peer">{name}</span>
              <Pill tone={up ? 'good' : 'bad'} label={up ? 'up' : 'down'} />
            </li>
          )),
        ]}
      </Folded>
    </Card>
  );
}

/** Absent where there are none: servers in one process need no way to each other. */
function Lanes({ lanes }: Pick<BackplaneStatus, 'lanes'>) {
  if (lanes.length === 0) return null;
  const isUp = (lane: LaneStatus) => stateOfLane(lane).tone === 'good';
  const up = lanes.filter(isUp);
  const ordered = [...lanes.filter((lane) => !isUp(lane)), ...up];
  return (
    <Card title="Lanes" aside={`${up.length} of ${plural(lanes.length, 'Redis node')} up`}>
      <Folded className="peers">
        {ordered.map((lane) => (
          <li key={lane.node}>
            <div className="lane">
              <span>{lane.node}</span>
              {lane.reason !== null && <p className="faint">{lane.reason}</p>}
            </div>
            <span className="lane-state">
              <span className="faint">{duration(lane.forSeconds)}</span>
              <Pill {...stateOfLane(lane)} />
            </span>
          </li>
        ))}
      </Folded>
    </Card>
  );
}

function perSecond(values: readonly number[]): string {
  const last = values.at(-1);
  return last === undefined ? '–' : number(Math.round(last));
}
