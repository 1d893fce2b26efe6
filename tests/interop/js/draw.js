// The draw: the portal's own.

import { taskSeed as seedOf } from '../../../node/portal/static/checks/draw.js'

export { rankForTask, ranking } from '../../../node/portal/static/checks/draw.js'

export const taskSeed = (epochSeed, coordinator, number) => Buffer.from(seedOf(epochSeed, coordinator, number))
