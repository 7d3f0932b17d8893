import { startServices } from './services.ts';
import { silentLog } from '#pipeline/telemetry/log.ts';
const t=performance.now();
const s = await startServices({dataDir: process.argv[2]!, mode:'local', configured:{}, log: silentLog, onProgress: e=>console.log(Math.round(performance.now()-t), e.service,e.state,e.detail,e.elapsedMs), signal: AbortSignal.any([])});
console.log('READY', Math.round(performance.now()-t), s.kafkaBrokers, s.pids());
if (process.argv[3]==='hang') setInterval(()=>{},1000); else { const u=performance.now(); await s.stop(); console.log('STOP', Math.round(performance.now()-u)); }
